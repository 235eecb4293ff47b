"""Prefect 1's control flow: ``case``, ``switch``, ``ifelse``, ``merge``, filters, resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.flows.recording import ListRecorder
from tests.flows.running import kinds, result, run

from loopline.errors import FlowBuildError
from loopline.executors import LocalDaskExecutor
from loopline.flows import (
    FilterTask,
    Flow,
    Parameter,
    ResourceManager,
    case,
    ifelse,
    merge,
    resource_manager,
    switch,
    task,
)
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable

SUCCESS, SKIPPED, FAILED = StateKind.SUCCESS, StateKind.SKIPPED, StateKind.FAILED


@task
def choose(best: str) -> str:
    return best


@task
def train(kind: str) -> str:
    return f"trained {kind}"


@task
def deploy(model: str) -> str:
    return f"deployed {model}"


@task
def fail() -> str:
    msg = "no data"
    raise ValueError(msg)


@task
def inc(x: int) -> int:
    return x + 1


# --- case ------------------------------------------------------------------------------------


def build_case() -> tuple[Flow, dict[str, Any]]:
    with Flow("case") as flow:
        best = choose(Parameter("best"))
        with case(best, "xgb"):
            xgb = train("xgb")
            live = deploy(xgb)
        with case(best, "cat"):
            cat = train("cat")
        model = merge(live, cat)
    return flow, {"xgb": xgb, "live": live, "cat": cat, "model": model}


@pytest.mark.parametrize(
    ("best", "expected", "value"),
    [
        ("xgb", [SUCCESS, SUCCESS, SKIPPED, SUCCESS], "deployed trained xgb"),
        ("cat", [SKIPPED, SKIPPED, SUCCESS, SUCCESS], "trained cat"),
        ("none", [SKIPPED, SKIPPED, SKIPPED, SKIPPED], None),
    ],
)
def test_tasks_of_a_case_run_only_for_its_value(
    best: str, expected: list[StateKind], value: object
) -> None:
    flow, made = build_case()
    state = run(flow, best=best)
    assert state.is_successful()
    assert kinds(state, *made.values()) == expected
    assert state.result[made["model"]].result == value


def test_only_the_first_tasks_of_a_case_wait_for_its_gate() -> None:
    flow, made = build_case()
    (gate,) = flow.get_tasks(name="case(xgb)")
    assert flow.downstream_tasks(gate) == {made["xgb"]}


def test_a_case_inside_a_case_runs_when_both_fit() -> None:
    with Flow("nested") as flow:
        best, month = choose(Parameter("best")), Parameter("month")
        with case(best, "xgb"):
            first = train("xgb")
            with case(month, 1):
                second = train("january")
        last = merge(second, first)
    for given, expected in [
        (("xgb", 1), [SUCCESS, SUCCESS]),
        (("xgb", 2), [SUCCESS, SKIPPED]),
        (("cat", 1), [SKIPPED, SKIPPED]),
    ]:
        state = run(flow, best=given[0], month=given[1])
        assert kinds(state, first, second) == expected
    assert state.result[last].is_skipped()


def test_a_parameter_in_a_case_is_not_skipped() -> None:
    with Flow("parameter") as flow, case(choose("cat"), "xgb"):
        deploy(Parameter("model", default="m"))
    assert run(flow).result[flow.get_tasks(name="model")[0]].is_successful()


def test_a_case_cannot_compare_two_results_or_add_to_two_flows() -> None:
    with Flow("two") as flow, pytest.raises(FlowBuildError, match="is_equal"):
        case(choose("xgb"), choose("cat"))
    with flow, case(choose("xgb"), "xgb"):
        train("xgb")
        with pytest.raises(FlowBuildError, match="only add to one flow"):
            train("cat", flow=Flow("other"))


# --- switch, ifelse, merge -------------------------------------------------------------------


@pytest.mark.parametrize(("best", "value"), [("xgb", "trained xgb"), ("cat", "trained cat")])
def test_a_switch_runs_the_task_of_its_value(best: str, value: str) -> None:
    with Flow("switch") as flow:
        xgb, cat = train("xgb"), train("cat")
        switch(choose(best), {"xgb": xgb, "cat": cat})
        model = merge(xgb, cat)
    assert result(flow, model) == value
    assert [gate.tags for gate in flow.get_tasks(tags=["switch"])] == [{"switch"}] * 2


@pytest.mark.parametrize("condition", [True, False, 1, 0, "", None, [0]])
def test_ifelse_asks_whether_a_result_is_true(condition: object) -> None:
    with Flow("ifelse") as flow:
        yes, no = train("yes"), train("no")
        ifelse(task(lambda: condition)(), yes, no)
        model = merge(yes, no)
    assert result(flow, model) == f"trained {'yes' if condition else 'no'}"


def test_ifelse_may_have_one_branch() -> None:
    with Flow("one branch") as flow:
        yes = train("yes")
        ifelse(task(lambda: False)(), yes, None)
    assert kinds(run(flow), yes) == [SKIPPED]


def test_merge_takes_a_list_as_one_branch_and_goes_on_to_what_is_not_none() -> None:
    with Flow("lists") as flow:
        one, other = train("one"), train("other")
        third = task(lambda: None)()
        last = train("last")
        switch(choose("b"), {"a": one, "b": third})
        other.set_upstream(one)
        model = merge([one, other], third, last)
    assert result(flow, model) == "trained last"


def test_merge_fails_when_a_branch_failed() -> None:
    with Flow("failing") as flow:
        failed, other = fail(), train("xgb")
        model = merge(failed, other)
    assert kinds(run(flow), model) == [StateKind.TRIGGER_FAILED]
    with Flow("refused"), pytest.raises(FlowBuildError, match="skip_on_upstream_skip"):
        merge(train("xgb"), skip_on_upstream_skip=True)


def test_merge_keeps_the_order_of_more_than_nine_branches() -> None:
    with Flow("many") as flow:
        nothing = [task(lambda: None)() for _ in range(1, 10)]
        model = merge(train("first"), *nothing, train("eleventh"))
        second = merge(*nothing, train("tenth"), train("eleventh"))
    state = run(flow)
    assert state.result[model].result == "trained first"
    assert state.result[second].result == "trained tenth"


# --- FilterTask ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_func", "kept"), [(None, [2, 6]), (lambda x: x == 6, [6])], ids=["default", "own"]
)
def test_a_filter_keeps_what_a_mapped_task_could_do(
    filter_func: Callable[[Any], bool] | None, kept: list[int]
) -> None:
    @task
    def divide(x: int) -> float | None:
        return None if x == 3 else 12 / x

    lines: list[str] = []

    def tell(found: list[Any]) -> str:
        lines.append(f"{len(found)} kept")
        return lines[-1]

    with Flow("filter") as flow:
        found = FilterTask(filter_func, tell)(divide.map([6, 0, 3, 2]))
        more = inc.map(found)
    state = run(flow)
    assert state.result[found].result == kept
    assert state.result[more].result == [each + 1 for each in kept]
    assert lines == [f"{len(kept)} kept"]


# --- resources -------------------------------------------------------------------------------


class Diary:
    """What happened to resources, in order."""

    lines: list[str]


@pytest.fixture
def diary() -> type[Diary]:
    Diary.lines = []
    return Diary


class ClusterOfWorkers:
    def __init__(self, workers: int, *, broken: str = "") -> None:
        if broken == "init":
            raise ValueError(broken)
        self.workers = workers
        self.broken = broken

    def setup(self) -> str:
        if self.broken == "setup":
            raise ValueError(self.broken)
        Diary.lines.append(f"up {self.workers}")
        return f"client of {self.workers}"

    def cleanup(self, client: str) -> None:
        Diary.lines.append(f"down {client}")


#: As a decorator it is the same, but type checkers do not know what a decorator makes of a class.
Cluster = resource_manager(ClusterOfWorkers, name="Cluster")


@task
def work(client: str, *, broken: bool = False) -> str:
    if broken:
        raise ValueError(client)
    Diary.lines.append(f"work with {client}")
    return client


def test_a_resource_is_there_for_its_block_and_cleaned_up_after_it(diary: type[Diary]) -> None:
    with Flow("cluster") as flow:
        with Cluster(Parameter("workers")) as client:
            done = work(client)
            quiet = task(lambda: Diary.lines.append("quiet"))()
            last = work(done)
        work("outside")
    state = run(flow, workers=4)
    assert state.is_successful()
    assert (
        diary.lines.index("up 4")
        < diary.lines.index("quiet")
        < diary.lines.index("down client of 4")
    )
    assert diary.lines[-1] == "down client of 4" or "work with outside" in diary.lines
    (setup,) = flow.get_tasks(name="Cluster.setup")
    (cleanup,) = flow.get_tasks(name="Cluster.cleanup")
    assert setup in flow.upstream_tasks(quiet)
    assert {quiet, last} <= flow.upstream_tasks(cleanup)
    assert done not in flow.upstream_tasks(cleanup)


def test_a_resource_is_cleaned_up_when_its_block_fails_and_the_run_fails_all_the_same(
    diary: type[Diary],
) -> None:
    with Flow("cluster") as flow, Cluster(4) as client:
        failed = work(client, broken=True)
    state = run(flow)
    assert state.is_failed()
    assert flow.reference_tasks() == {failed}
    assert diary.lines == ["up 4", "down client of 4"]


@pytest.mark.parametrize("broken", ["init", "setup"])
def test_what_was_never_set_up_is_not_cleaned_up(diary: type[Diary], broken: str) -> None:
    with Flow("cluster") as flow, Cluster(4, broken=broken) as client:
        work(client)
    state = run(flow)
    assert state.is_failed()
    (cleanup,) = flow.get_tasks(name="Cluster.cleanup")
    assert kinds(state, cleanup) == [SKIPPED]
    assert diary.lines == []


def test_a_resource_needs_no_setup_and_takes_options_for_its_tasks(diary: type[Diary]) -> None:
    @resource_manager(
        name="disk", init_task_kwargs={"tags": ["slow"]}, cleanup_task_kwargs={"max_retries": 1}
    )
    class Disk:
        def cleanup(self, resource: None) -> None:
            Diary.lines.append(f"gone {resource}")

    with Flow("disk") as flow:
        assert isinstance(Disk, ResourceManager)
        with Disk() as nothing:
            worked = work("disk")
    assert nothing is None
    assert run(flow).is_successful()
    assert diary.lines == ["work with disk", "gone None"]
    (init,) = flow.get_tasks(name="disk")
    (cleanup,) = flow.get_tasks(name="disk.cleanup")
    assert (init.tags, cleanup.max_retries) == ({"slow"}, 1)
    assert flow.reference_tasks() == {worked}


def test_a_resource_needs_a_flow() -> None:
    with pytest.raises(FlowBuildError, match="outside a flow"):
        Cluster(4)


# --- everywhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_control_flow_is_the_same_in_threads_and_processes(scheduler: str) -> None:
    class Folder:
        def setup(self) -> int:
            return 2

        def cleanup(self, resource: int) -> None:
            """Nothing is left of it."""

    manager = resource_manager(Folder)
    with Flow("everywhere") as flow, manager() as two:
        many = FilterTask()(inc.map([1, two, two * 2]))
        with case(choose("xgb"), "xgb"):
            xgb = train("xgb")
        with case(choose("xgb"), "cat"):
            cat = train("cat")
        model = merge(cat, xgb)
        found = {"model": model, "most": many[-1]}
        told = task(lambda told: sorted(told.items()))(found)
    executor = LocalDaskExecutor(scheduler=scheduler, num_workers=2)
    state = run_flow(flow, recorder=ListRecorder(), executor=executor)
    assert state.is_successful()
    assert state.result[told].result == [("model", "trained xgb"), ("most", 5)]
