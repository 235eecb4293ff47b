"""Due times become flow runs once each, whatever clocks and schedules do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loopline.errors import ConflictError
from loopline.records import operations as ops
from loopline.records.flows import (
    FlowCode,
    FlowGraph,
    FlowVersion,
    IntervalClock,
    ScheduleSpec,
)
from loopline.records.schedule_operations import AddDueTimes, DueTime, ListOwnSchedules
from loopline.records.schedules import ScheduleFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

HOUR_MS = 3_600_000
NOW = [0]


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend]) -> LocalBackend:
    NOW[0] = 1_700_000_000_000
    return open_backend(clock=lambda: NOW[0])


def register(
    backend: LocalBackend,
    name: str,
    interval_s: float,
    anchor: str = "2020-01-01T00:00:00+00:00",
    **options: Any,  # noqa: ANN401 - of the schedule
) -> FlowVersion:
    clock = IntervalClock(interval_s=interval_s, anchor=anchor)
    spec = ScheduleSpec(**{"clocks": [clock], **options})
    return backend.call(
        ops.RegisterFlow(
            project="wagoncab project",
            name=name,
            fingerprint=name,
            graph=FlowGraph(),
            code=FlowCode(kind="import"),
            schedule=spec,
        )
    )


def due_times(backend: LocalBackend, name: str) -> list[int]:
    page = backend.call(ops.ListFlowRuns(flow_name=name, max_results=10_000))
    return [run.scheduled_ms for run in page.flow_runs]


def test_a_schedule_with_microseconds_stops_neither_itself_nor_others(
    backend: LocalBackend,
) -> None:
    register(backend, "odd", 10.0, "2023-11-14T22:00:00.123400+00:00")
    register(backend, "even", 60.0, "2020-01-01T00:00:00+00:00")
    for _ in range(20):
        NOW[0] += 5000
        backend.call(ops.MaterialiseSchedules(most_per_flow=50))
    assert len(due_times(backend, "odd")) > 100
    assert len(set(due_times(backend, "odd"))) == len(due_times(backend, "odd"))
    assert len(due_times(backend, "even")) >= 60


def test_a_clock_that_jumps_back_makes_no_due_time_twice(backend: LocalBackend) -> None:
    register(backend, "fares", 60.0, "2020-01-01T00:00:00+00:00")
    backend.call(ops.MaterialiseSchedules())
    NOW[0] += 600_000
    while backend.call(ops.ClaimFlowRun(worker="night", lease_s=30.0)):
        pass
    NOW[0] -= 300_000
    backend.call(ops.SetScheduleActive(project="wagoncab project", name="fares", active=True))
    backend.call(ops.MaterialiseSchedules())
    times = due_times(backend, "fares")
    assert len(set(times)) == len(times)


def test_of_the_due_times_that_passed_unseen_only_the_newest_is_made_up_for(
    backend: LocalBackend,
) -> None:
    register(backend, "fares", 3600.0, "2020-01-01T00:00:00+00:00")
    NOW[0] += 10 * HOUR_MS
    backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    (made,) = due_times(backend, "fares")
    assert NOW[0] - HOUR_MS < made <= NOW[0]


@pytest.mark.parametrize(("catch_up", "made"), [("all", 10), ("last", 1), ("none", 0)])
def test_a_schedule_says_what_is_made_up_for_after_a_downtime(
    backend: LocalBackend, catch_up: str, made: int
) -> None:
    register(backend, "fares", 3600.0, catch_up=catch_up)
    NOW[0] += 10 * HOUR_MS
    backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    times = due_times(backend, "fares")
    assert len(times) == made
    assert all(time <= NOW[0] for time in times)
    NOW[0] += HOUR_MS // 60
    backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    assert len(due_times(backend, "fares")) == made


@pytest.mark.parametrize(("catch_up", "waiting"), [("all", 120), ("last", 1), ("none", 0)])
def test_so_it_does_of_runs_that_were_made_ahead_and_came_due_in_a_downtime(
    backend: LocalBackend, catch_up: str, waiting: int
) -> None:
    register(backend, "fares", 60.0, catch_up=catch_up)
    backend.call(ops.MaterialiseSchedules(ahead_s=3600.0))
    assert len(due_times(backend, "fares")) == 60
    NOW[0] += 2 * HOUR_MS
    for _ in range(3):
        backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    assert len(due_times(backend, "fares")) == waiting


def test_no_due_time_is_skipped_between_two_looks(backend: LocalBackend) -> None:
    register(backend, "fares", 1.0)
    for _ in range(20):
        NOW[0] += 5000
        backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    assert len(due_times(backend, "fares")) == 100


def test_clocks_with_other_values_make_runs_of_their_own_for_one_due_time(
    backend: LocalBackend,
) -> None:
    clocks = [
        IntervalClock(interval_s=3600, parameters={}, labels=labels)
        for labels in (["gpu"], None, ["gpu"], ["night"])
    ]
    register(backend, "fares", 1.0, clocks=clocks)
    for _ in range(3):
        backend.call(ops.MaterialiseSchedules(ahead_s=3 * 3600.0, most_per_flow=1))
    runs = backend.call(ops.ListFlowRuns(flow_name="fares")).flow_runs
    assert sorted((run.scheduled_ms, run.labels) for run in runs) == [
        (time, labels)
        for time in sorted({run.scheduled_ms for run in runs})
        for labels in ([], ["gpu"], ["night"])
    ]
    assert len(runs) == 9


def test_what_a_clock_that_jumped_ahead_dropped_is_made_when_it_is_back(
    backend: LocalBackend,
) -> None:
    register(backend, "fares", 60.0)
    backend.call(ops.MaterialiseSchedules(ahead_s=3600.0))
    expected = due_times(backend, "fares")
    NOW[0] += 2 * HOUR_MS
    backend.call(ops.MaterialiseSchedules(ahead_s=0.0))
    lease = backend.call(ops.ClaimFlowRun(worker="night", lease_s=30.0))
    assert lease is not None
    assert len(due_times(backend, "fares")) == 1
    NOW[0] -= 2 * HOUR_MS - 1000
    backend.call(ops.MaterialiseSchedules(ahead_s=3600.0))
    times = due_times(backend, "fares")
    assert len(set(times)) == len(times)
    assert set(expected) <= set(times)


def test_jitter_moves_the_begin_and_never_makes_a_due_time_twice(backend: LocalBackend) -> None:
    register(backend, "fares", 600.0, jitter_s=300.0)
    for _ in range(3):
        NOW[0] += 1000
        backend.call(ops.MaterialiseSchedules(ahead_s=3600.0))
    late = sorted(time % 600_000 for time in due_times(backend, "fares"))
    assert len(late) == 6
    assert 0 <= late[0] < late[-1] <= 300_000


def own_schedule(backend: LocalBackend) -> FlowVersion:
    holiday = ScheduleFunction(name="taxifare.flow.is_holiday", own="filters.0")
    return register(backend, "fares", 600.0, filters=[holiday])


def test_a_schedule_with_its_users_code_waits_for_a_worker(backend: LocalBackend) -> None:
    version = own_schedule(backend)
    assert backend.call(ops.MaterialiseSchedules()) == 0
    (asked,) = backend.call(ListOwnSchedules())
    assert asked.flow_version.flow_version_id == version.flow_version_id
    times = [DueTime(at_ms=asked.after_ms + 600_000 * each) for each in (1, 2, 4)]
    brought = AddDueTimes(
        flow_version_id=version.flow_version_id, until_ms=asked.until_ms, times=times
    )
    assert backend.call(brought) == 3
    assert backend.call(ListOwnSchedules()) == []
    with pytest.raises(ConflictError, match="no longer asked for"):
        backend.call(brought)
    assert sorted(due_times(backend, "fares")) == [time.at_ms for time in times]
    NOW[0] += HOUR_MS // 2 + 1000
    assert len(backend.call(ListOwnSchedules())) == 1


def test_due_times_that_a_worker_brings_late_are_caught_up_like_others(
    backend: LocalBackend,
) -> None:
    version = own_schedule(backend)
    NOW[0] += 5 * HOUR_MS
    (asked,) = backend.call(ListOwnSchedules())
    times = [DueTime(at_ms=asked.after_ms + 600_000 * each) for each in range(1, 36)]
    brought = AddDueTimes(
        flow_version_id=version.flow_version_id, until_ms=asked.until_ms, times=times
    )
    assert backend.call(brought) == 1 + 5


def test_what_waits_for_a_worker_does_not_hide_when_a_flow_runs_next(
    backend: LocalBackend,
) -> None:
    register(backend, "fares", 600)
    asked = ops.CreateFlowRun(project="wagoncab project", name="fares", labels=["gpu"])
    waiting_ms = backend.call(asked).scheduled_ms
    NOW[0] += 60_000

    def next_ms() -> int | None:
        (summary,) = backend.call(ops.ListFlows())
        return summary.next_ms

    computed = next_ms()
    assert computed is not None
    assert NOW[0] < computed <= NOW[0] + 600_000
    backend.call(ops.MaterialiseSchedules())
    assert next_ms() == computed
    backend.call(ops.SetScheduleActive(project="wagoncab project", name="fares", active=False))
    assert next_ms() == waiting_ms
