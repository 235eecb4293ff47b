"""What a flow run tells of itself: who started it, its changes, its tasks' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.flow_story import (
    PROJECT,
    START_MS,
    Clock,
    ask,
    claimed,
    get,
    register,
    tell,
)

from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.facts import FlowRunState, TaskRunState
from loopline.records.flows import FlowRun, IntervalClock, Origin, ScheduleSpec, StateKind
from loopline.rules.origins import started_by_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_backend(clock=Clock())
    register(backend)
    return backend


def started(run: FlowRun) -> tuple[Origin, str, str]:
    return run.origin, run.started_by, started_by_words(run)


def test_a_run_knows_the_person_or_the_flow_run_that_asked_for_it(backend: LocalBackend) -> None:
    assert started(get(backend, ask(backend))) == (Origin.PERSON, "", "hand")
    first = ask(backend, actor="vera")
    assert started(get(backend, first)) == (Origin.PERSON, "vera", "vera")
    second = get(backend, ask(backend, actor="vera", parent=first))
    assert started(second) == (Origin.FLOW_RUN, first, f"flow run {first[:8]}")
    with pytest.raises(InvalidInputError, match="at most 250"):
        ask(backend, actor="v" * 251)


def test_a_run_knows_its_schedule(backend: LocalBackend) -> None:
    spec = ScheduleSpec(clocks=[IntervalClock(interval_s=600)])
    register(backend, "nightly", schedule=spec)
    backend.call(ops.MaterialiseSchedules(ahead_s=1200))
    runs = backend.call(ops.ListFlowRuns(project=PROJECT, flow_name="nightly")).flow_runs
    assert {started(run) for run in runs} == {(Origin.SCHEDULE, "", "its schedule")}


def test_a_run_from_a_script_knows_the_flow_run_that_it_was_in(backend: LocalBackend) -> None:
    fact = FlowRunState(
        flow_run_id="b" * 32, state=StateKind.RUNNING, at_ms=START_MS, parent="a" * 32
    )
    backend.call(ops.RecordFacts(facts=[fact]))
    assert started(get(backend, "b" * 32)) == (Origin.FLOW_RUN, "a" * 32, "flow run aaaaaaaa")


def test_changes_are_read_from_a_place_on(backend: LocalBackend) -> None:
    flow_run_id, _ = ask(backend, priority=1), ask(backend)
    lease = claimed(backend)
    tell(backend, lease, StateKind.RUNNING, extract=StateKind.RUNNING)

    def read(after: int = 0, limit: int = 0) -> list[tuple[str, str]]:
        asked = ops.ListFlowRunEvents(flow_run_id=flow_run_id, after=after, limit=limit)
        events = backend.call(asked)
        return [(event.task_slug, event.state.value) for event in events]

    whole = backend.call(ops.ListFlowRunEvents(flow_run_id=flow_run_id))
    places = [event.position for event in whole]
    assert places == sorted(set(places))
    states = [("", "Scheduled"), ("", "Submitted"), ("extract-1", "Running"), ("", "Running")]
    assert read() == states
    assert read(after=places[0]) == read()[1:]
    assert read(after=places[-1]) == []
    assert read(limit=2) == read()[:2]
    assert backend.call(
        ops.ListFlowRunEvents(flow_run_id=flow_run_id, limit=1, newest=True)
    ) == whole[-1:]  # fmt: skip
    tell(backend, lease, extract=StateKind.SUCCESS)
    assert read(after=places[-1]) == [("extract-1", "Success")]
    with pytest.raises(InvalidInputError, match="0 or more"):
        read(after=-1)


def test_a_task_run_keeps_its_own_name(backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    lease = claimed(backend)
    running = TaskRunState(
        flow_run_id=flow_run_id, task_slug="extract-1", state=StateKind.RUNNING, at_ms=START_MS,
        token=lease.token, name="extract 2022-03",
    )  # fmt: skip
    backend.call(ops.RecordFacts(facts=[running]))
    tell(backend, lease, extract=StateKind.SUCCESS, load=StateKind.SUCCESS)
    runs = backend.call(ops.ListTaskRuns(flow_run_id=flow_run_id))
    assert {run.task_slug: run.name for run in runs} == {
        "extract-1": "extract 2022-03",
        "load-1": "",
    }
