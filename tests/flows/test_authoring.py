"""Building flows: names and meaning of Prefect 1."""

from __future__ import annotations

import pickle
import threading
from datetime import timedelta
from typing import Any

import cloudpickle
import pytest

from loopline.errors import FlowBuildError
from loopline.flows import Edge, Flow, Parameter, Task, task, unmapped
from loopline.flows.authoring.order import sort_tasks
from loopline.flows.triggers import all_failed, always_run
from loopline.records.flows import GraphEdge, ParameterSpec


@task
def eval_perf(next_row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as users write
    return next_row


@task(max_retries=2, retry_delay=timedelta(minutes=1), timeout=3600, tags=["gpu"])
def train_model(next_row: int, depth: int = 3) -> float:
    return next_row / depth


@task(trigger=always_run)
def notify(past_perf: float, new_perf: float) -> None:
    print(past_perf, new_perf)


#: Something that cannot be pickled: a task of a module must not take it along.
LOCK = threading.Lock()


@task
def guarded() -> bool:
    with LOCK:
        return True


class Fetch(Task):
    """Fetches a month."""

    def __init__(self, source: str, **options: Any) -> None:  # noqa: ANN401 - those of Task
        self.source = source
        super().__init__(**options)

    def run(self, month: str) -> str:
        return f"{self.source}/{month}"


def build() -> Flow:
    with Flow("taxi fares") as flow:
        next_row = Parameter("next_row", default=0)
        notify(eval_perf(next_row), train_model(next_row))
    return flow


def test_calling_a_task_in_a_flow_adds_a_copy_with_a_slug_of_its_own() -> None:
    with Flow("taxi fares") as flow:
        first, second = train_model(0), train_model(1)
    assert [flow.slugs[each] for each in (first, second)] == ["train_model-1", "train_model-2"]
    assert first is not train_model
    assert flow.tasks == {first, second}


def test_calling_a_task_outside_a_flow_says_what_to_do() -> None:
    with pytest.raises(FlowBuildError, match=r"with Flow\(.*train_model\.run"):
        train_model(0)


def test_run_calls_the_function_itself() -> None:
    assert train_model.run(6, depth=2) == 3.0


def test_a_result_used_as_an_argument_is_an_edge_and_a_constant_is_not() -> None:
    flow = build()
    assert [(edge.upstream, edge.downstream, edge.key) for edge in flow.graph().edges] == [
        ("next_row", "eval_perf-1", "next_row"),
        ("next_row", "train_model-1", "next_row"),
        ("eval_perf-1", "notify-1", "past_perf"),
        ("train_model-1", "notify-1", "new_perf"),
    ]
    with Flow("constant") as other:
        trained = train_model(0, depth=5)
    assert other.constants == {trained: {"next_row": 0, "depth": 5}}
    assert not other.edges


def test_results_inside_lists_and_dicts_are_edges_too() -> None:
    with Flow("taxi fares") as flow:
        one, other = train_model(0), train_model(1)
        chosen = eval_perf({"models": [one, (other, 3)]})
    assert flow.upstream_tasks(chosen) == {one, other}


def test_upstream_tasks_only_run_before() -> None:
    with Flow("taxi fares") as flow:
        first = eval_perf(0)
        train_model(0, upstream_tasks=[first])
    assert flow.graph().edges == [GraphEdge(upstream="eval_perf-1", downstream="train_model-1")]


def test_the_imperative_calls_build_the_same_flow() -> None:
    flow = Flow("taxi fares")
    next_row = Parameter("next_row", default=0)
    first, second, last = eval_perf.copy(), train_model.copy(), notify.copy()
    first.set_upstream(next_row, flow=flow, key="next_row")
    next_row.set_downstream(second, flow=flow, key="next_row")
    flow.set_dependencies(last, keyword_tasks={"past_perf": first})
    flow.add_edge(second, last, key="new_perf")
    flow.validate()
    assert sorted(map(str, flow.graph().edges)) == sorted(map(str, build().graph().edges))


def test_a_new_input_takes_the_place_of_the_old() -> None:
    with Flow("taxi fares") as flow:
        one, other = eval_perf(0), eval_perf(1)
        trained = train_model(one)
        trained.set_upstream(other, key="next_row")
    assert flow.edges_to(trained) == {Edge(other, trained, "next_row")}


def test_chain_lets_tasks_run_one_after_the_other() -> None:
    with Flow("taxi fares") as flow:
        tasks = [eval_perf(0), eval_perf(1), eval_perf(2)]
        flow.chain(*tasks)
    assert list(flow.sorted_tasks()) == tasks


def test_a_circle_is_refused_and_named() -> None:
    flow = Flow("taxi fares")
    one, two, three = (eval_perf.copy(name=name) for name in ("extract", "train", "notify"))
    flow.chain(one, two, three, one)
    with pytest.raises(FlowBuildError, match=r"extract-1 → train-1 → notify-1 → extract-1"):
        flow.validate()


def test_a_missing_argument_is_found_before_the_run() -> None:
    flow = Flow("taxi fares")
    flow.add_task(notify.copy())
    with pytest.raises(FlowBuildError, match="'notify-1' needs past_perf, new_perf"):
        flow.validate()


def test_a_wrong_argument_is_found_when_the_task_is_called() -> None:
    with Flow("taxi fares"), pytest.raises(FlowBuildError, match="dept"):
        train_model(0, dept=3)


def test_a_misspelt_key_is_answered_with_the_nearest() -> None:
    flow = Flow("taxi fares")
    with pytest.raises(FlowBuildError, match="Did you mean 'next_row'"):
        flow.add_edge(eval_perf.copy(), train_model.copy(), key="next_rows")


def test_two_parameters_of_one_name_are_refused() -> None:
    one, other = Parameter("month"), Parameter("month")
    with Flow("taxi fares"), pytest.raises(FlowBuildError, match="'month'"):
        eval_perf([one, other])


def test_one_parameter_may_be_used_often() -> None:
    with Flow("taxi fares") as flow:
        month = Parameter("month")
        eval_perf(month)
        train_model(month)
    assert flow.parameters() == {month}
    assert flow.graph().parameters == [ParameterSpec(name="month", required=True)]


def test_indexing_and_unpacking_take_results_apart() -> None:
    @task(nout=2)
    def split(trips: int) -> tuple[int, int]:
        return trips, trips

    with Flow("taxi fares") as flow:
        train, test = split(1)
        rmse = eval_perf(0)["rmse"]
    assert [each.name for each in (train, test, rmse)] == [
        "split[0]",
        "split[1]",
        "eval_perf['rmse']",
    ]
    assert len(flow.tasks) == 5


def test_a_result_cannot_be_iterated_over_before_it_is_there() -> None:
    with Flow("taxi fares"), pytest.raises(TypeError, match="nout"):
        list(eval_perf(0))


def test_mapping_marks_edges_except_unmapped_ones() -> None:
    with Flow("taxi fares") as flow:
        train_model.map(eval_perf([1, 2]), depth=unmapped(eval_perf(3)))
    assert [(edge.key, edge.is_mapped) for edge in flow.graph().edges] == [
        ("next_row", True),
        ("depth", False),
    ]


def test_task_args_change_the_copy_only() -> None:
    with Flow("taxi fares") as flow:
        train_model(0, task_args={"name": "train deep", "max_retries": 5})
    (trained,) = flow.graph().tasks
    assert trained.slug == "train deep-1"
    assert trained.retry_delays_s == [60.0] * 5
    assert train_model.name == "train_model"


def test_the_graph_tells_everything_about_a_task() -> None:
    (trained,) = (each for each in build().graph().tasks if each.slug == "train_model-1")
    assert trained.retry_delays_s == [60.0, 60.0]
    assert trained.timeout_s == 3600.0
    assert trained.tags == ["gpu"]
    (told,) = (each for each in build().graph().tasks if each.slug == "notify-1")
    assert told.trigger == "all_finished"


def test_a_trigger_of_ones_own_is_not_taken_for_a_built_in_one() -> None:
    own = task(trigger=bool)(lambda: None)

    def all_failed(states: object) -> bool:
        return bool(states)

    shadow = task(trigger=all_failed)(lambda: None)
    with Flow("taxi fares") as flow:
        own()
        shadow()
    assert [each.trigger for each in flow.graph().tasks] == ["bool", "own all_failed"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"retry_delay": 5}, "max_retries"),
        ({"max_retries": -1}, "0 or more"),
        ({"timeout": 0}, "longer than nothing"),
        ({"trigger": "all_succesful"}, "no trigger"),
        ({"timeout": "soon"}, "timedelta"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(FlowBuildError, match=complaint):
        task(**options)(lambda: None)


def test_a_function_with_many_unnamed_arguments_is_no_task() -> None:
    with pytest.raises(FlowBuildError, match="take a list"):
        task(lambda *months: sum(months))


def test_a_function_may_take_any_named_argument() -> None:
    with Flow("taxi fares") as flow:
        made = task(lambda **settings: settings)(depth=3)
    assert flow.constants == {made: {"depth": 3}}


def test_a_class_with_run_is_a_task() -> None:
    with Flow("taxi fares") as flow:
        fetched = Fetch("s3://trips", name="fetch")("2022-03")
    assert flow.slugs[fetched] == "fetch-1"
    assert fetched.run("2022-03") == "s3://trips/2022-03"


def test_tasks_are_found_by_name_slug_tag_and_type() -> None:
    flow = build()
    assert [flow.slugs[each] for each in flow.get_tasks(name="notify")] == ["notify-1"]
    assert [each.name for each in flow.get_tasks(tags=["gpu"])] == ["train_model"]
    assert [each.name for each in flow.get_tasks(task_type=Parameter)] == ["next_row"]
    assert flow.get_tasks(slug="train_model-9") == []


def test_reference_tasks_are_the_last_ones_unless_chosen() -> None:
    flow = build()
    (last,) = flow.reference_tasks()
    assert last.name == "notify"
    (trained,) = flow.get_tasks(name="train_model")
    flow.set_reference_tasks([trained])
    assert flow.graph().reference_tasks == ["train_model-1"]


def test_a_flow_needs_a_name() -> None:
    with pytest.raises(FlowBuildError, match="needs a name"):
        Flow("")


def test_a_flow_travels_by_pickle() -> None:
    flow = build()
    copy = pickle.loads(cloudpickle.dumps(flow))  # noqa: S301 - our own
    assert copy.graph() == flow.graph()
    assert [each.name for each in sort_tasks(copy)] == [each.name for each in sort_tasks(flow)]


def test_a_task_of_a_module_travels_by_name_and_shares_its_state() -> None:
    copy = pickle.loads(cloudpickle.dumps(guarded))  # noqa: S301 - our own
    assert copy.fn is guarded.fn


def test_a_task_of_a_script_travels_with_its_code() -> None:
    factor = 3

    @task
    def triple(trips: int) -> int:
        return trips * factor

    copy = pickle.loads(cloudpickle.dumps(triple))  # noqa: S301 - our own
    assert copy.fn is not triple.fn
    assert copy.run(2) == 6


def test_a_flow_of_ten_thousand_tasks_sorts_without_recursion() -> None:
    with Flow("long") as flow:
        last = eval_perf(0)
        for _ in range(10_000):
            last = eval_perf(last)
    assert flow.sorted_tasks()[-1] is last


def test_all_failed_is_a_function_that_can_be_asked() -> None:
    assert all_failed({})
