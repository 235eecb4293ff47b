"""Facts are taken exactly once, in any order, and a bad one blocks nothing."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sqlalchemy_event

from loopline.backend.local import LocalBackend
from loopline.errors import ConflictError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.flows import LogLine, StateKind
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

WRITER = "0" * 32


def points(*rows: tuple[int, float], key: str = "rmse") -> f.MetricPoints:
    steps = [step for step, _ in rows]
    return f.MetricPoints(
        run_id="taxi",
        key=key,
        steps=array("q", steps).tobytes(),
        timestamps_ms=array("q", steps).tobytes(),
        values=array("d", [value for _, value in rows]).tobytes(),
    )


def send(backend: LocalBackend, start: int, *facts: f.Fact, writer: str = WRITER) -> f.Receipt:
    return backend.send(
        f.Batch(writer=writer, start=start, end=start + len(facts), facts=list(facts))
    )


STARTED = f.RunStarted(run_id="taxi", experiment="wagoncab taxifare", name="night", start_ms=1000)


def test_a_batch_sent_again_changes_nothing(backend: LocalBackend) -> None:
    first = send(backend, 0, STARTED, points((0, 4.0), (1, 3.0)))
    for _ in range(5):
        assert send(backend, 0, STARTED, points((0, 4.0), (1, 3.0))) == first
    run = backend.call(ops.GetRun(run_id="taxi"))
    assert run.metrics["rmse"].count == 2
    assert len(backend.call(ops.ListRunEvents(run_id="taxi"))) == 1


def test_a_batch_cut_differently_is_sent_back_to_what_is_known(backend: LocalBackend) -> None:
    send(backend, 0, STARTED, points((0, 4.0)))
    receipt = send(backend, 1, points((0, 4.0)), points((1, 3.0)))
    assert receipt.acknowledged == 2
    send(backend, 2, points((1, 3.0)))
    assert backend.call(ops.GetRun(run_id="taxi")).metrics["rmse"].count == 2


def test_a_gap_is_refused(backend: LocalBackend) -> None:
    send(backend, 0, STARTED)
    with pytest.raises(ConflictError, match="Send again from 1"):
        send(backend, 5, points((0, 4.0)))


@settings(max_examples=25)
@given(order=st.permutations(range(5)))
def test_facts_of_several_writers_make_the_same_run_in_any_order(
    open_module_backend: Callable[..., LocalBackend], order: list[int]
) -> None:
    backend = open_module_backend()
    facts: list[f.Fact] = [
        STARTED,
        points((0, 4.0), (1, 3.0)),
        f.ParamsLogged(run_id="taxi", params={"model": "gbm"}),
        f.TagsSet(run_id="taxi", tags={"month": "2022-03"}),
        points((2, 2.5)),
    ]
    for index in order:
        send(backend, 0, facts[index], writer=f"{index:032x}")
    runs = backend.call(
        ops.SearchRuns(
            experiment_names=["wagoncab taxifare"],
            filter="metrics.rmse < 3 and params.model = 'gbm' and tags.month like '2022%'",
        )
    ).runs
    backend.close()
    assert [run.run_id for run in runs] == ["taxi"]
    assert runs[0].name == "night"
    assert runs[0].start_ms == 1000
    assert runs[0].metrics["rmse"].count == 3


def test_a_refused_fact_is_kept_with_its_reason_and_blocks_nothing(
    backend: LocalBackend,
) -> None:
    receipt = send(
        backend,
        0,
        STARTED,
        f.ParamsLogged(run_id="taxi", params={"model": "gbm"}),
        f.ParamsLogged(run_id="taxi", params={"depth": "3", "model": "keras"}),
        points((0, 4.0)),
        points((0, 4.0), key="../escape"),
    )
    run = backend.call(ops.GetRun(run_id="taxi"))
    refused = backend.call(ops.ListRefused(run_id="taxi"))
    assert receipt.refused == 2
    assert run.params == {"model": "gbm"}  # Nothing of the refused fact, "depth" included.
    assert run.metrics["rmse"].count == 1
    assert "Changing param values is not allowed" in refused[0].reason
    assert "another path" in refused[1].reason


def test_facts_of_a_deleted_run_are_refused_until_it_is_restored(backend: LocalBackend) -> None:
    send(backend, 0, STARTED)
    backend.call(ops.DeleteRun(run_id="taxi"))
    assert send(backend, 1, points((0, 4.0))).refused == 1
    assert backend.call(ops.SearchRuns()).runs == []
    backend.call(ops.RestoreRun(run_id="taxi"))
    assert send(backend, 2, points((0, 4.0))).refused == 0
    assert len(backend.call(ops.SearchRuns(filter="metrics.rmse = 4")).runs) == 1


def test_the_owners_end_beats_an_adopters(backend: LocalBackend) -> None:
    lost = f.RunEnded(run_id="taxi", status=RunStatus.FAILED, end_ms=5000, adopted=True)
    own = f.RunEnded(run_id="taxi", status=RunStatus.FINISHED, end_ms=4000, duration_ms=3000)
    send(backend, 0, STARTED, lost, own)
    send(backend, 3, lost)
    run = backend.call(ops.GetRun(run_id="taxi"))
    assert (run.status, run.end_ms, run.duration_ms) == (RunStatus.FINISHED, 4000, 3000)


def test_a_run_never_ends_before_it_began_whatever_the_clock_did(backend: LocalBackend) -> None:
    send(backend, 0, STARTED, f.RunEnded(run_id="taxi", status=RunStatus.FINISHED, end_ms=1))
    run = backend.call(ops.GetRun(run_id="taxi"))
    assert run.end_ms is not None
    assert run.end_ms >= run.start_ms


def test_a_run_is_lost_only_when_all_its_writers_are_and_comes_back_with_one(
    backend: LocalBackend,
) -> None:
    send(backend, 0, STARTED)
    send(backend, 0, points((0, 4.0)), writer="1" * 32)
    assert backend.call(ops.CloseLostRuns(writer=WRITER, reason="killed")) == []
    assert backend.call(ops.CloseLostRuns(writer="1" * 32, reason="killed")) == ["taxi"]
    assert backend.call(ops.GetRun(run_id="taxi")).end_reason == "killed"

    backend.call(ops.Heartbeat(writer=WRITER))  # A laptop that slept.

    run = backend.call(ops.GetRun(run_id="taxi"))
    assert (run.status, run.end_ms, run.end_reason) == (RunStatus.RUNNING, None, "")


def test_many_small_batches_become_few_blocks_and_stay_exact(backend: LocalBackend) -> None:
    send(backend, 0, STARTED)
    for step in range(100):
        send(backend, 1 + step, points((step, float(step)), (step, float(step))))
    history = backend.call(ops.GetMetricHistory(run_id="taxi", key="rmse"))
    assert history.steps == list(range(100))
    with backend.store.read() as connection:
        blocks = connection.exec_driver_sql("SELECT count(*) FROM ll_metric_block").scalar_one()
    assert blocks <= 33


def test_what_does_not_exist_is_said_with_the_next_step(backend: LocalBackend) -> None:
    with pytest.raises(NotFoundError, match="loopline runs list"):
        backend.call(ops.GetRun(run_id="nothing"))
    send(backend, 0, STARTED)
    with pytest.raises(NotFoundError, match="Did you mean 'wagoncab taxifare'"):
        backend.call(ops.GetExperiment(name="wagoncab taxifair"))


def test_a_value_that_no_database_holds_is_refused_alone(backend: LocalBackend) -> None:
    receipt = send(
        backend,
        0,
        STARTED,
        f.RunStarted(run_id="later", experiment="fares", start_ms=2**64),
        f.TagsSet(run_id="taxi", tags={"month": "2022-03"}),
    )
    assert receipt.refused == 1
    assert receipt.acknowledged == 3
    assert backend.call(ops.GetRun(run_id="taxi")).tags["month"] == "2022-03"
    assert "database cannot hold it" in backend.call(ops.ListRefused(run_id="later"))[0].reason


def test_a_fenced_holders_facts_are_refused(backend: LocalBackend) -> None:
    def state(kind: StateKind, token: int) -> f.FlowRunState:
        return f.FlowRunState(flow_run_id="night", state=kind, at_ms=1, token=token)

    task = f.TaskRunState(
        flow_run_id="night", task_slug="train-1", state=StateKind.SUCCESS, at_ms=2, token=1
    )
    send(backend, 0, state(StateKind.RUNNING, 2), task, state(StateKind.FAILED, 1))
    assert backend.call(ops.GetFlowRun(flow_run_id="night")).state is StateKind.RUNNING
    assert backend.call(ops.ListTaskRuns(flow_run_id="night")) == []
    assert len(backend.call(ops.ListRefused(run_id="night"))) == 2


def test_a_thousand_task_states_cost_a_few_statements(backend: LocalBackend) -> None:
    def states(kind: StateKind, at_ms: int) -> list[f.Fact]:
        return [
            f.TaskRunState(
                flow_run_id="night", task_slug=f"train-{task}", state=kind, at_ms=at_ms, attempt=1
            )
            for task in range(1000)
        ]

    statements: list[str] = []
    sqlalchemy_event.listen(
        backend.store._engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    began = f.FlowRunState(flow_run_id="night", state=StateKind.RUNNING, at_ms=1)
    send(backend, 0, began, *states(StateKind.RUNNING, 2))
    assert len(statements) < 25
    statements.clear()
    # A later batch changes what an earlier one wrote.
    send(backend, 1001, *states(StateKind.SUCCESS, 3))
    assert len(statements) < 25

    tasks = backend.call(ops.ListTaskRuns(flow_run_id="night"))
    assert [task.task_slug for task in tasks] == [f"train-{task}" for task in range(1000)]
    assert {(each.state, each.attempt, each.start_ms, each.end_ms) for each in tasks} == {
        (StateKind.SUCCESS, 1, 2, 3)
    }


def test_a_line_says_which_element_of_a_map_wrote_it(backend: LocalBackend) -> None:
    lines = [
        LogLine(flow_run_id="night", task_slug="train-1", map_index=index, at_ms=1, message="hm")
        for index in (-1, 0, 37)
    ]
    backend.call(ops.RecordFacts(facts=[f.LogsWritten(lines=lines)]))
    kept = backend.call(ops.GetLogs(flow_run_id="night"))
    assert [line.map_index for line in kept] == [-1, 0, 37]


@pytest.mark.parametrize("together", [True, False])
def test_a_task_that_runs_again_takes_as_long_as_it_takes_now(
    backend: LocalBackend, *, together: bool
) -> None:
    def state(kind: StateKind, at_ms: int) -> f.TaskRunState:
        return f.TaskRunState(
            flow_run_id="night", task_slug="secret-1", state=kind, at_ms=at_ms, attempt=1
        )

    facts: list[f.Fact] = [
        f.FlowRunState(flow_run_id="night", state=StateKind.RUNNING, at_ms=1, flow_name="night"),
        state(StateKind.RUNNING, 1_000), state(StateKind.SUCCESS, 1_030),
        state(StateKind.RUNNING, 50_000), state(StateKind.SUCCESS, 50_020),
    ]  # fmt: skip
    for batch in [facts] if together else [[fact] for fact in facts]:
        backend.call(ops.RecordFacts(facts=batch))
    [run] = backend.call(ops.ListTaskRuns(flow_run_id="night"))
    assert (run.start_ms, run.end_ms) == (50_000, 50_020)


def test_a_flow_run_closed_as_lost_comes_back_with_its_process(backend: LocalBackend) -> None:
    def task(slug: str, kind: StateKind) -> f.TaskRunState:
        return f.TaskRunState(flow_run_id="night", task_slug=slug, state=kind, at_ms=1, attempt=1)

    send(
        backend,
        0,
        f.FlowRunState(flow_run_id="night", state=StateKind.RUNNING, at_ms=1),
        task("prepare-1", StateKind.FAILED),
        task("train-1", StateKind.RUNNING),
    )

    def states() -> list[StateKind]:
        tasks = backend.call(ops.ListTaskRuns(flow_run_id="night"))
        run = backend.call(ops.GetFlowRun(flow_run_id="night"))
        return [run.state, *(each.state for each in tasks)]

    backend.call(ops.CloseLostRuns(writer=WRITER, reason="killed"))
    assert states() == [StateKind.FAILED] * 3
    assert backend.call(ops.GetFlowRun(flow_run_id="night")).message == "killed"

    backend.call(ops.Heartbeat(writer=WRITER))  # A laptop that slept.

    assert states() == [StateKind.RUNNING, StateKind.FAILED, StateKind.RUNNING]
    run = backend.call(ops.GetFlowRun(flow_run_id="night"))
    assert (run.message, run.end_ms) == ("its process is back", None)


def test_a_flow_run_that_failed_by_itself_stays_so_when_its_process_is_heard_of_again(
    backend: LocalBackend,
) -> None:
    failed = f.FlowRunState(flow_run_id="night", state=StateKind.FAILED, at_ms=1, message="no")
    send(backend, 0, failed)
    backend.call(ops.CloseLostRuns(writer=WRITER, reason="killed"))
    backend.call(ops.Heartbeat(writer=WRITER))
    assert backend.call(ops.GetFlowRun(flow_run_id="night")).state is StateKind.FAILED
