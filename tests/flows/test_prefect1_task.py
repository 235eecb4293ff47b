"""Prefect 1's ``@task`` and ``Task``: copies, dependencies, operators, unpacking, tags."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.flows.recording import ListRecorder
from tests.flows.running import kinds, result, results, run

from loopline.errors import FlowBuildError, TaskValueError
from loopline.flows import (
    Edge,
    Flow,
    Parameter,
    Task,
    as_task,
    context,
    defaults_from_attrs,
    flatten,
    tags,
    task,
    unmapped,
)
from loopline.flows.authoring.gathering import Dict, List, Set, Tuple
from loopline.flows.authoring.operators import GetAttr, GetItem
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable


class Metrics(NamedTuple):
    rmse: float
    mae: float


@task
def rmse(month: int) -> float:
    return month + 0.5


@task
def double(value: float) -> float:
    return 2 * value


@task
def evaluate(month: int) -> tuple[float, float]:
    return month + 0.5, month + 0.25


@task
def evaluate_by_name(month: int) -> Metrics:
    return Metrics(month + 0.5, month + 0.25)


class Fetch(Task):
    def __init__(self, source: str = "file", month: int = 1, **options: Any) -> None:  # noqa: ANN401
        self.source = source
        self.month = month
        super().__init__(**options)

    @defaults_from_attrs("source", "month")
    def run(self, source: str | None = None, month: int | None = None) -> tuple[Any, ...]:
        return source, month


# --- operators -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compute", "value"),
    [
        (lambda x: x + 2, 9),
        (lambda x: 2 + x, 9),
        (lambda x: x - 2, 5),
        (lambda x: 2 - x, -5),
        (lambda x: x * 2, 14),
        (lambda x: 2 * x, 14),
        (lambda x: x / 2, 3.5),
        (lambda x: 14 / x, 2.0),
        (lambda x: x // 2, 3),
        (lambda x: 15 // x, 2),
        (lambda x: x % 4, 3),
        (lambda x: 9 % x, 2),
        (lambda x: x**2, 49),
        (lambda x: 2**x, 128),
        (lambda x: -x, -7),
        (lambda x: x & 0, 0),
        (lambda x: 0 & x, 0),
        (lambda x: x.and_(3), 3),
        (lambda x: x.or_(3), 7),
        (lambda x: x.not_(), False),
        (lambda x: x < 8, True),
        (lambda x: x <= 6, False),
        (lambda x: x > 8, False),
        (lambda x: x >= 7, True),
        (lambda x: 8 > x, True),  # noqa: SIM300 - the reflected operator
        (lambda x: x.is_equal(7), True),
        (lambda x: x.is_not_equal(7), False),
        (lambda x: x + x * x, 56),
    ],
)
def test_operators_compute_when_the_flow_runs(compute: Callable[..., Any], value: object) -> None:
    with Flow("operators") as flow:
        computed = compute(Parameter("x"))
    assert result(flow, computed, x=7) == value


def test_a_function_without_a_signature_is_refused_with_what_to_do() -> None:
    with pytest.raises(FlowBuildError, match="Call it in a function"):
        task(max)


def test_indexing_takes_an_element_also_by_another_result() -> None:
    with Flow("index") as flow:
        months = Dict()(["jan"], [[1, 2, 3]])
        jan = months["jan"]
        last = jan[Parameter("which", default=-1)]
    assert last.name == "Dict['jan'][which]"
    assert results(flow, jan, last) == [[1, 2, 3], 3]


def test_an_element_or_attribute_that_is_missing_has_a_default_or_fails() -> None:
    with Flow("missing") as flow:
        taken = GetItem(default=0)({"rmse": 1}, "mae")
        read = GetAttr()(as_task(Metrics(1.0, 2.0)), "rmse")
        other = GetAttr(default=5)(3, "rmse.deep")
        gone = GetItem()({"rmse": 1}, "mae")
    state = run(flow)
    assert [state.result[each].result for each in (taken, read, other)] == [0, 1.0, 5]
    assert state.result[gone].is_failed()


def test_a_tuple_annotation_lets_results_be_unpacked() -> None:
    with Flow("unpack") as flow:
        first, second = evaluate(1)
        best, other = evaluate_by_name(2)
    assert results(flow, first, second, best, other) == [1.5, 1.25, 2.5, 2.25]
    assert (evaluate.nout, rmse.nout) == (2, None)
    assert task(nout=1)(lambda: (1,)).nout == 1


def any_number() -> tuple[int, ...]:
    return ()


def none_at_all() -> tuple[()]:
    return ()


def unknown_names() -> tuple[NotThere, list[NotThere]]:  # type: ignore[name-defined] # noqa: F821
    return 1, []


@pytest.mark.parametrize(
    ("function", "count"), [(any_number, None), (none_at_all, 0), (unknown_names, 2)]
)
def test_how_many_values_is_read_from_the_annotation(
    function: Callable[..., Any], count: int | None
) -> None:
    assert task(function).nout == count


def test_a_mapped_task_is_not_unpacked_by_what_one_child_returns() -> None:
    with Flow("mapped") as flow, pytest.raises(TaskValueError, match="nout"):
        _, _ = evaluate.map([1, 2])
    assert len(flow.tasks) == 1


# --- what cannot be --------------------------------------------------------------------------


def test_a_result_cannot_be_asked_for_while_the_flow_is_built() -> None:
    with Flow("asking"):
        found = rmse(1)
        with pytest.raises(TaskValueError, match=r"with case\("):
            assert found > 1
        with pytest.raises(TaskValueError, match=r"is_equal\(3\)"):
            _ = found == 3
        with pytest.raises(TaskValueError, match=r"\.map"):
            range(found)
        with pytest.raises(TaskValueError, match=r"\.map"):
            math.floor(found)


def test_tasks_can_be_told_apart_and_put_in_dicts() -> None:
    with Flow("apart") as flow:
        one, other = rmse(1), rmse(1)
        assert one == one  # noqa: PLR0124 - on purpose
        assert one != other
        assert one in [other, one]
        assert {one: 1, other: 2}[other] == 2
        assert one != None  # noqa: E711 - on purpose
    assert bool(one)
    assert len(flow.tasks) == 2


# --- dependencies ----------------------------------------------------------------------------


def test_a_bar_says_what_runs_after_what() -> None:
    with Flow("bars") as flow:
        one, two, three = rmse(1), rmse(2), rmse(3)
        assert (one | two | three) is three
        four = [one, two] | rmse(4)
        one | [four, three]
    assert flow.upstream_tasks(four) == {one, two}
    assert flow.downstream_tasks(one) == {two, three, four}
    assert all(edge.key is None for edge in flow.edges)


def test_dependencies_can_be_set_from_either_side() -> None:
    flow = Flow("imperative")
    first, second, third = rmse.copy(), double.copy(), double.copy()
    assert first.bind(1, flow=flow) is first
    assert second.set_upstream(first, flow=flow, key="value") is second
    assert second.set_downstream(third, flow=flow, key="value") is second
    last = double.copy()
    assert last.set_dependencies(
        flow, upstream_tasks=[[first, second]], keyword_tasks={"value": third}
    )
    assert flow.upstream_tasks(last) == {first, second, third}
    assert result(flow, last) == 12.0


def test_a_copy_has_its_own_attributes_and_no_dependencies() -> None:
    with Flow("copies") as flow:
        one = rmse(1, task_args={"name": "score", "tags": {"fast"}})
        double(one)
        with pytest.warns(UserWarning, match="knows nothing of that place"):
            other = one(2)
    assert (one.name, one.tags, rmse.tags) == ("score", {"fast"}, set())
    assert flow.slugs[other] == "score-2"
    assert flow.edges_to(other) == set()
    with pytest.raises(FlowBuildError, match="no 'depth'"):
        rmse.copy(depth=1)


def test_pipe_reads_from_left_to_right() -> None:
    with Flow("pipe") as flow:
        piped = rmse(1).pipe(double).pipe(double)
        lists = task(lambda: [[1], [2, 3]])()
        many = lists.pipe(flatten).pipe(double.map)
        whole = many.pipe(unmapped).pipe(double)
    assert results(flow, piped, many, whole) == [6.0, [2, 4, 6], [2, 4, 6, 2, 4, 6]]


def test_a_task_made_in_a_flow_and_never_added_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"never added to it: <Parameter: month>"), Flow("lost"):
        Parameter("month")


def test_a_result_given_when_a_task_is_made_is_warned_of() -> None:
    with Flow("attribute"):
        source = rmse(1)
        with pytest.warns(UserWarning, match=r"as its attribute 'source'.*Fetch\(\.\.\.\)\(rmse\)"):
            Fetch(source)()


def test_calling_needs_the_arguments_of_run() -> None:
    with Flow("arguments"), pytest.raises(FlowBuildError, match="missing a required argument"):
        rmse()
    with pytest.raises(FlowBuildError, match=r"with Flow\("):
        rmse(1) + 1


# --- slugs, tags, inputs ---------------------------------------------------------------------


def test_a_slug_of_ones_own_names_one_task_of_a_flow() -> None:
    fetch = task(slug="fetch", name="Fetch")(lambda: 1)
    with Flow("slugs") as flow:
        first = fetch()
        with pytest.raises(FlowBuildError, match="the slug 'fetch'"):
            fetch()
        second = fetch(task_args={"slug": "fetch-again"})
    assert [flow.slugs[each] for each in (first, second)] == ["fetch", "fetch-again"]


def test_tags_of_a_block_come_in_addition() -> None:
    with Flow("tags") as flow:
        with tags("nightly"), tags("gpu"):
            trained = rmse(1)
            fresh = Task(name="own", tags=["slow"])()
        plain = rmse(1)
    assert trained.tags == {"nightly", "gpu"}
    assert fresh.tags == {"nightly", "gpu", "slow"}
    assert plain.tags == rmse.tags == set()
    assert flow.get_tasks(tags=["gpu"]) == [trained, fresh]


def test_tags_given_as_one_text_are_refused() -> None:
    with pytest.raises(FlowBuildError, match=r"tags=\['gpu'\]"):
        Task(tags="gpu")


def test_a_task_describes_its_inputs_and_outputs() -> None:
    @task
    def train(month: int, depth=3.0, *, deep: bool = False) -> float:  # type: ignore[no-untyped-def] # noqa: ANN001
        return month / float(depth) if deep else 0.0

    assert train.inputs() == {
        "month": {"type": "int", "default": None, "required": True},
        "depth": {"type": Any, "default": 3.0, "required": False},
        "deep": {"type": "bool", "default": False, "required": False},
    }
    assert train.outputs() == "float"
    assert task(lambda: 1).outputs() is Any


def test_attributes_can_be_the_defaults_of_run() -> None:
    fetch = Fetch("bucket", month=3)
    with Flow("defaults") as flow:
        one, other, none = fetch(), fetch(month=4), fetch("web", None)
    assert results(flow, one, other, none) == [("bucket", 3), ("bucket", 4), ("web", None)]


def test_what_is_given_as_an_argument_becomes_a_task_where_one_is_needed() -> None:
    with Flow("as_task") as flow:
        one = rmse(1)
        kinds_of_tasks = {
            type(as_task(value)): as_task(value)
            for value in ([one, 2], (one, 2), {one}, {"rmse": one})
        }
        constant = as_task([1, 2])
        flow.add_task(constant)
    assert list(kinds_of_tasks) == [List, Tuple, Set, Dict]
    assert results(flow, *kinds_of_tasks.values(), constant) == [
        [1.5, 2],
        (1.5, 2),
        {1.5},
        {"rmse": 1.5},
        [1, 2],
    ]


def test_a_list_task_keeps_the_order_of_more_than_nine() -> None:
    with Flow("order") as flow:
        gathered = List().bind(*[rmse(month) for month in range(12)])
    assert result(flow, gathered) == [month + 0.5 for month in range(12)]


def test_a_constant_in_an_argument_is_no_task() -> None:
    with Flow("constants") as flow:
        one = rmse(as_task(3))
    assert flow.tasks == {one}
    assert flow.constants == {one: {"month": 3}}


def test_an_edge_is_refused_when_it_cannot_be() -> None:
    one, other = rmse.copy(), double.copy()
    with pytest.raises(FlowBuildError, match="before itself"):
        Edge(one, one)
    with pytest.raises(FlowBuildError, match="name of an argument"):
        Edge(one, other, key="value.deep")
    with pytest.raises(FlowBuildError, match="cannot run after another"):
        Flow("edges").add_edge(one, Parameter("month"))
    assert Edge(one, other, "value").tasks == {one, other}
    assert Edge(unmapped(one), other, mapped=True) == Edge(one, other)


def test_a_failure_runs_on_along_operators_only_as_a_trigger_says() -> None:
    @task
    def fail() -> int:
        msg = "no data"
        raise ValueError(msg)

    with Flow("failure") as flow:
        failed = fail()
        added = failed + 1
    assert [kind.value for kind in kinds(run(flow), failed, added)] == ["Failed", "TriggerFailed"]


# --- names of runs ---------------------------------------------------------------------------


def named(month: int, depth: int) -> str:  # noqa: ARG001 - the month is in the name
    return f"{context.task_run_name} of {depth}"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("train {month:02d}", "train 03"),
        ("{task_name} {task_run_count} {flow_name} {year}", "named 1 names 2022"),
        ("depth {depth}", "depth 2"),
        (lambda month, **others: f"{month} of {others['year']}", "3 of 2022"),
        ("train {mnoth}", "train {mnoth}"),
        (lambda: "takes nothing", ""),
    ],
)
def test_a_task_run_is_named_by_a_template_or_a_function(
    template: str | Callable[..., str], name: str
) -> None:
    recorder = ListRecorder()
    with Flow("names") as flow:
        Parameter("year", default=2022)()
        ran = task(task_run_name=template)(named)(3, 2)
    parameters = {"year": 2022, "depth": 9}
    state = run_flow(flow, parameters=parameters, recorder=recorder)
    assert state.result[ran].result == f"{name} of 2"
    (running,) = (
        fact for fact in recorder.task_facts("named-1") if fact.state is StateKind.RUNNING
    )
    assert (running.message, running.name) == (name, name)
    assert any("could not be made" in line for _, _, line in recorder.lines()) is (
        name in {"train {mnoth}", ""}
    )


def test_a_task_run_is_named_by_the_defaults_of_arguments_that_are_not_given() -> None:
    @task(task_run_name="train {model} of {month}")
    def train(month: int, model: str = "gbm") -> str:
        return f"{context['task_run_name']}: {month} {model}"

    with Flow("names") as flow:
        ran = train(3)
        other = train(4, "xgb")
    assert result(flow, ran) == "train gbm of 3: 3 gbm"
    assert result(flow, other) == "train xgb of 4: 4 xgb"


def test_children_of_a_mapped_task_have_names_of_their_own() -> None:
    with Flow("names") as flow:
        ran = task(task_run_name="month {month}, child {map_index}")(named).map([3, 4], [1, 1])
    assert result(flow, ran) == ["month 3, child 0 of 1", "month 4, child 1 of 1"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("retries", "max_retries"), ("retry_delay_seconds", "retry_delay"), ("tag", "tags")],
)
def test_an_option_that_tasks_do_not_have_names_the_one_they_have(wrong: str, right: str) -> None:
    words = f"Task 'extract': @task has no option '{wrong}'. Did you mean '{right}'?"
    with pytest.raises(TypeError, match=re.escape(words)):

        @task(**{wrong: 3})  # type: ignore[call-overload, untyped-decorator]
        def extract() -> None: ...
