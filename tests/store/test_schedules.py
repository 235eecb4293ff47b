"""Due times become flow runs once each, whatever clocks and schedules do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.records import operations as ops
from loopline.records.flows import FlowCode, FlowGraph, IntervalClock, ScheduleSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

HOUR_MS = 3_600_000
NOW = [0]


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend]) -> LocalBackend:
    NOW[0] = 1_700_000_000_000
    return open_backend(clock=lambda: NOW[0])


def register(backend: LocalBackend, name: str, interval_s: float, anchor: str) -> None:
    clock = IntervalClock(interval_s=interval_s, anchor=anchor)
    backend.call(
        ops.RegisterFlow(
            project="wagoncab project",
            name=name,
            fingerprint=name,
            graph=FlowGraph(),
            code=FlowCode(kind="import"),
            schedule=ScheduleSpec(clocks=[clock]),
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
