"""What people do to flow runs: retry, run again, pause, approve, rename."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.flow_story import Clock, ask, claim, claimed, get, known, register, tell

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.facts import TaskRunState
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

DONE, BAD = StateKind.SUCCESS, StateKind.FAILED


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend], clock: Clock) -> LocalBackend:
    backend = open_backend(clock=clock)
    register(backend)
    return backend


def failed_run(backend: LocalBackend) -> str:
    """Make a flow run whose second month could not be fitted."""
    flow_run_id = ask(backend)
    tell(
        backend,
        claimed(backend),
        BAD,
        load=DONE,
        extract=DONE,
        clean=[DONE, DONE],
        fit=[DONE, BAD],
        notify=StateKind.TRIGGER_FAILED,
    )
    return flow_run_id


def test_a_retry_keeps_what_succeeded_and_fences_who_had_it(backend: LocalBackend) -> None:
    flow_run_id = failed_run(backend)
    retried = backend.call(ops.RetryFlowRun(flow_run_id=flow_run_id, actor="ana", reason="rain"))
    assert (retried.state, retried.end_ms) == (StateKind.SCHEDULED, None)
    assert retried.message == "retried by ana: rain"
    kept = {("load", -1), ("extract", -1), ("clean", -1), ("clean", 0), ("clean", 1), ("fit", 0)}
    assert known(backend, flow_run_id) == kept
    lease = claimed(backend, "day")
    assert {(run.task_slug[:-2], run.map_index) for run in lease.task_runs} == kept
    assert lease.token > retried.token
    tell(backend, lease, DONE, fit=[DONE, DONE], notify=DONE)
    assert get(backend, flow_run_id).state is DONE
    with pytest.raises(InvalidInputError, match="rerun"):
        backend.call(ops.RetryFlowRun(flow_run_id=flow_run_id))


def test_what_the_process_before_says_late_is_refused(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, BAD, extract=BAD)
    backend.call(ops.RetryFlowRun(flow_run_id=flow_run_id))
    with pytest.raises(ConflictError, match="too late"):
        tell(backend, lease, DONE)


@pytest.mark.parametrize(
    ("begin", "left"),
    [
        (["notify"], {"load", "extract", "clean", "fit"}),
        (["clean-1"], {"load", "extract"}),
        (["fit", "load"], {"extract", "clean"}),
        ([], set()),
    ],
)
def test_a_run_begins_again_at_a_task_with_all_that_follows(
    backend: LocalBackend, begin: list[str], left: set[str]
) -> None:
    flow_run_id = ask(backend)
    tell(
        backend,
        claimed(backend),
        DONE,
        load=DONE,
        extract=DONE,
        clean=[DONE, DONE],
        fit=[DONE, DONE],
        notify=DONE,
    )
    again = backend.call(ops.RerunFlowRun(flow_run_id=flow_run_id, from_tasks=begin))
    assert again.state is StateKind.SCHEDULED
    assert {name for name, _ in known(backend, flow_run_id)} == left
    states = [e.state for e in backend.call(ops.ListFlowRunEvents(flow_run_id=flow_run_id))]
    assert states.count(DONE) == 8, "the history keeps what happened"


def test_what_cannot_run_again_is_told_why(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    with pytest.raises(InvalidInputError, match="only what has ended"):
        backend.call(ops.RerunFlowRun(flow_run_id=flow_run_id))
    backend.call(ops.CancelFlowRun(flow_run_id=flow_run_id))
    with pytest.raises(NotFoundError, match="extract-1"):
        backend.call(ops.RerunFlowRun(flow_run_id=flow_run_id, from_tasks=["extrct"]))
    assert backend.call(ops.RetryFlowRun(flow_run_id=flow_run_id)).state is StateKind.SCHEDULED
    assert not get(backend, flow_run_id).cancel_requested


def test_a_queued_run_is_paused_at_once_and_goes_on_when_asked(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    assert backend.call(ops.PauseFlowRun(flow_run_id=flow_run_id)).state is StateKind.PAUSED
    assert claim(backend) is None
    with pytest.raises(InvalidInputError, match="nothing to pause"):
        backend.call(ops.PauseFlowRun(flow_run_id=flow_run_id))
    backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id))
    assert claimed(backend).flow_run.flow_run_id == flow_run_id


def test_a_running_run_is_asked_to_pause_and_may_be_asked_to_go_on(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    claimed(backend)
    paused = backend.call(ops.PauseFlowRun(flow_run_id=flow_run_id))
    assert (paused.state, paused.pause_requested) == (StateKind.SUBMITTED, True)
    news = backend.call(ops.CheckWork(holding=[flow_run_id]))
    assert (news.pause, news.cancel) == ([flow_run_id], [])
    assert not backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id)).pause_requested


def test_a_task_that_paused_is_approved_by_name(backend: LocalBackend, clock: Clock) -> None:
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, StateKind.PAUSED, extract=DONE, load=StateKind.PAUSED)
    clock.pass_s(3600)
    assert claim(backend) is None, "a paused run is nobody's"
    with pytest.raises(InvalidInputError, match="nothing to approve"):
        backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id, tasks=["extract"]))
    backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id, tasks=["load"], actor="ana"))
    (task,) = (t for t in claimed(backend).task_runs if t.task_slug == "load-1")
    assert (task.state, task.message) == (StateKind.RESUME, "approved by ana")


def test_name_note_priority_and_labels_can_be_changed_until_it_is_too_late(
    backend: LocalBackend,
) -> None:
    first, second = ask(backend), ask(backend)
    changes = {"name": "march", "note": "after the strike", "priority": 5, "labels": ["gpu"]}
    run = backend.call(ops.UpdateFlowRun(flow_run_id=second, **changes))  # type: ignore[arg-type]
    assert (run.name, run.note, run.priority, run.labels) == tuple(changes.values())
    assert claimed(backend, "night").flow_run.flow_run_id == first
    assert claimed(backend, "big", "gpu").flow_run.flow_run_id == second
    with pytest.raises(InvalidInputError, match="too late"):
        backend.call(ops.UpdateFlowRun(flow_run_id=second, labels=[]))
    with pytest.raises(InvalidInputError, match="priority"):
        backend.call(ops.UpdateFlowRun(flow_run_id=second, priority=10_000))
    with pytest.raises(InvalidInputError, match="is no label"):
        ask(backend, labels=["two words"])


def test_asking_twice_under_one_key_makes_one_run(backend: LocalBackend) -> None:
    first = ask(backend, run_key="2022-03")
    assert ask(backend, run_key="2022-03") == first
    assert ask(backend, run_key="2022-04") != first


def test_what_is_paused_until_a_time_is_let_go_only_by_its_name(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    lease = claimed(backend)
    timed = TaskRunState(
        flow_run_id=flow_run_id, task_slug="load-1", state=StateKind.PAUSED, at_ms=1,
        token=lease.token, until_ms=9_000,
    )  # fmt: skip
    backend.call(ops.RecordFacts(facts=[timed]))
    tell(backend, lease, StateKind.PAUSED, extract=StateKind.PAUSED)

    def states() -> dict[str, tuple[StateKind, int]]:
        runs = backend.call(ops.ListTaskRuns(flow_run_id=flow_run_id))
        return {run.task_slug: (run.state, run.until_ms) for run in runs}

    backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id))
    assert states() == {
        "load-1": (StateKind.PAUSED, 9_000),
        "extract-1": (StateKind.RESUME, 0),
    }
    tell(backend, claimed(backend), StateKind.PAUSED)
    backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id, tasks=["load"]))
    assert states()["load-1"][0] is StateKind.RESUME
