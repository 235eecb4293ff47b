"""Which worker gets which flow run, what waits and why, and what happens when a worker is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.flow_story import PROJECT, Clock, ask, claim, claimed, get, register, tell

from loopline.records import operations as ops
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend
    from loopline.records.flows import FlowRunLease

DONE = StateKind.SUCCESS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend], clock: Clock) -> LocalBackend:
    return open_backend(clock=clock)


def report(backend: LocalBackend, name: str, *labels: str, slots: int = 1) -> None:
    backend.call(ops.ReportWorker(worker_id=name, name=name, slots=slots, labels=list(labels)))


def test_a_run_goes_only_to_a_worker_that_has_its_labels(backend: LocalBackend) -> None:
    register(backend, labels=["gpu", "eu"])
    flow_run_id = ask(backend)
    assert get(backend, flow_run_id).waits_for.startswith("a worker: none is here")
    report(backend, "night", "gpu")
    assert claim(backend, "night", "gpu") is None
    waits = get(backend, flow_run_id).waits_for
    assert waits == "a worker with the labels eu, gpu: those here have the label gpu"
    assert backend.call(ops.CheckWork(labels=["gpu"])).due_in_ms is None
    assert backend.call(ops.CheckWork(labels=["gpu", "eu", "big"])).due_in_ms == 0
    assert claimed(backend, "day", "gpu", "eu", "big").flow_run.flow_run_id == flow_run_id


def test_labels_of_one_run_count_before_those_of_its_flow(backend: LocalBackend) -> None:
    register(backend, labels=["gpu"])
    ask(backend, labels=[])
    assert claim(backend) is not None


def test_of_what_is_due_the_greatest_priority_goes_first_then_the_oldest(
    backend: LocalBackend, clock: Clock
) -> None:
    register(backend)
    old = ask(backend)
    clock.pass_s(1)
    urgent, later = ask(backend, priority=1), ask(backend, scheduled_ms=clock.ms + 10_000)
    assert claimed(backend).flow_run.flow_run_id == urgent
    assert claimed(backend).flow_run.flow_run_id == old
    assert backend.call(ops.CheckWork()).due_in_ms == 10_000
    clock.pass_s(10)
    assert claimed(backend).flow_run.flow_run_id == later


def test_no_more_runs_of_a_flow_at_a_time_than_its_limit(
    backend: LocalBackend, clock: Clock
) -> None:
    register(backend)
    register(backend, "score")
    backend.call(ops.SetFlowLimit(project=PROJECT, name="retrain", most=2))
    runs = [ask(backend) for _ in range(3)]
    report(backend, "night", slots=9)
    leases = [claimed(backend), claimed(backend)]
    assert claim(backend) is None
    (waits,) = {get(backend, run).waits_for for run in runs} - {""}
    assert waits == "other runs of its flow to end: 2 run now, and at most 2 may"
    other = ask(backend, "score")
    assert claimed(backend).flow_run.flow_run_id == other
    tell(backend, leases[0], DONE)
    leases.append(claimed(backend))
    assert claim(backend) is None
    clock.pass_s(31)  # The holders die: what they held counts no more.
    assert claim(backend) is not None
    assert claim(backend) is not None


def test_a_limit_on_a_tag_holds_across_flow_runs_and_is_free_when_its_holder_dies(
    backend: LocalBackend, clock: Clock
) -> None:
    register(backend)
    backend.call(ops.SetTagLimit(tag="warehouse", most=1))
    ask(backend), ask(backend)
    first, second = claimed(backend), claimed(backend)

    def take(lease: FlowRunLease, slug: str = "load-1", tag: str = "warehouse") -> str:
        asked = ops.TakeTaskSlots(
            flow_run_id=lease.flow_run.flow_run_id,
            token=lease.token,
            task_slug=slug,
            tags=[tag, "free"],
        )
        return backend.call(asked)

    assert take(first) == ""
    assert take(first) == "", "asking again is no second slot"
    assert take(second) == "Waits for others to end: 1 of 1 with tag 'warehouse' run now."
    assert take(second, tag="lake") == ""
    (limit,) = backend.call(ops.ListTagLimits())
    assert (limit.tag, limit.most, limit.taken) == ("warehouse", 1, 1)
    backend.call(
        ops.GiveTaskSlots(
            flow_run_id=first.flow_run.flow_run_id, task_slug="load-1", token=first.token
        )
    )
    assert take(second) == ""
    assert take(first) != ""
    clock.pass_s(20)
    backend.call(ops.RenewLease(flow_run_id=first.flow_run.flow_run_id, token=first.token))
    assert take(first) != ""
    clock.pass_s(11)  # The second run's worker is gone.
    assert take(first) == ""
    backend.call(ops.SetTagLimit(tag="warehouse", most=0))
    assert backend.call(ops.ListTagLimits()) == []


@pytest.mark.parametrize("policy", ["continue", "restart", "no"])
def test_a_lost_run_fails_and_goes_on_as_its_flow_says(
    backend: LocalBackend, clock: Clock, policy: str
) -> None:
    register(backend, resume=policy)
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, StateKind.RUNNING, extract=DONE)
    assert backend.call(ops.CloseLostFlowRuns()) == []
    clock.pass_s(31)
    if policy == "no":
        assert claim(backend) is None
    assert backend.call(ops.CloseLostFlowRuns()) == [flow_run_id]
    assert backend.call(ops.CloseLostFlowRuns()) == []
    events = backend.call(ops.ListFlowRunEvents(flow_run_id=flow_run_id))
    lost = [event for event in events if event.state is StateKind.FAILED]
    assert [event.message for event in lost] == ["lost: nothing was heard of night any more"]
    run = get(backend, flow_run_id)
    if policy == "no":
        assert (run.state, run.end_ms) == (StateKind.FAILED, clock.ms)
        assert claim(backend) is None
        return
    assert run.state is StateKind.SCHEDULED
    again = claimed(backend, "day")
    assert "taken over by day" in again.flow_run.message
    assert [run.task_slug for run in again.task_runs] == (
        ["extract-1"] if policy == "continue" else []
    )


@pytest.mark.parametrize("policy", ["continue", "no"])
def test_a_worker_that_only_slept_goes_on_when_nobody_took_over(
    backend: LocalBackend, clock: Clock, policy: str
) -> None:
    register(backend, resume=policy)
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, StateKind.RUNNING, extract=DONE)
    clock.pass_s(3600)
    backend.call(ops.CloseLostFlowRuns())
    back = backend.call(ops.RenewLease(flow_run_id=flow_run_id, token=lease.token))
    assert (back.state, back.end_ms) == (StateKind.RUNNING, None)
    assert claim(backend) is None
    tell(backend, lease, DONE, load=DONE)
    assert get(backend, flow_run_id).state is DONE


def test_an_end_that_comes_after_a_run_was_lost_is_its_end(
    backend: LocalBackend, clock: Clock
) -> None:
    register(backend)
    flow_run_id = ask(backend)
    lease = claimed(backend)
    clock.pass_s(31)
    backend.call(ops.CloseLostFlowRuns())
    tell(backend, lease, DONE, extract=DONE)
    assert backend.call(ops.RenewLease(flow_run_id=flow_run_id, token=lease.token)).state is DONE
    assert claim(backend) is None


def test_a_run_that_nobody_takes_is_late(backend: LocalBackend, clock: Clock) -> None:
    register(backend)
    flow_run_id = ask(backend)
    backend.call(ops.CloseLostFlowRuns())
    assert not get(backend, flow_run_id).is_late
    clock.pass_s(16)
    backend.call(ops.CloseLostFlowRuns())
    assert get(backend, flow_run_id).is_late
    claimed(backend)
    assert not get(backend, flow_run_id).is_late


def test_workers_are_listed_with_what_they_run_and_those_gone_are_told(
    backend: LocalBackend, clock: Clock
) -> None:
    register(backend)
    report(backend, "night", "gpu", slots=2)
    flow_run_id = ask(backend)
    claimed(backend, "night")
    (worker,) = backend.call(ops.ListWorkers())
    assert (worker.status, worker.slots, worker.labels) == ("working", 2, ["gpu"])
    assert (worker.flow_runs, worker.last_seen_ms) == ([flow_run_id], clock.ms)
    clock.pass_s(31)
    (worker,) = backend.call(ops.ListWorkers())
    assert (worker.status, worker.flow_runs) == ("lost", [])
    clock.pass_s(3600)
    report(backend, "day")
    assert [worker.name for worker in backend.call(ops.ListWorkers())] == ["day"]


def test_a_run_says_when_all_slots_are_taken(backend: LocalBackend) -> None:
    register(backend)
    report(backend, "night")
    ask(backend)
    claimed(backend, "night")
    waits = get(backend, ask(backend)).waits_for
    assert waits == "a free slot: the only one of the worker that may take it is taken"
