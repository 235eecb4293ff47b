"""Schedules with their users' code: workers compute them, in a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.operations import ListFlowRuns, MaterialiseSchedules

if TYPE_CHECKING:
    from tests.worker.workshop import Workshop

OWN = """
    from datetime import timedelta
    from loopline.schedules import Schedule
    from loopline.schedules.clocks import IntervalClock

    def is_odd_minute(dt):
        note(f"filter in {os.getpid()}")
        return dt.minute % 2 == 1

    @task
    def nothing():
        pass

    with Flow("odd") as flow:
        nothing()
    clock = IntervalClock(timedelta(minutes=1), parameter_defaults={})
    flow.schedule = Schedule([clock], filters=[is_odd_minute])
    flow.register("wagoncab project")
"""


@pytest.mark.deep
@pytest.mark.timeout(120)
def test_a_worker_makes_the_runs_of_a_schedule_with_its_users_filter(workshop: Workshop) -> None:
    workshop.register(OWN)
    notes = workshop.project / "notes"
    notes.write_text("")
    assert workshop.backend.call(MaterialiseSchedules()) == 0
    assert notes.read_text() == ""  # Who only has the store runs no code.
    worker = workshop.start_worker("night")
    wait(lambda: len(workshop.backend.call(ListFlowRuns(flow_name="odd")).flow_runs) >= 29)
    runs = workshop.backend.call(ListFlowRuns(flow_name="odd")).flow_runs
    due = [datetime.fromtimestamp(run.scheduled_ms / 1000, UTC) for run in runs]
    assert all(each.minute % 2 == 1 for each in due)
    assert len(set(due)) == len(due)
    pids = {line.split()[-1] for line in notes.read_text().splitlines()}
    assert pids
    assert str(worker.pid) not in pids
