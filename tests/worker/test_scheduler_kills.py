"""Schedulers killed in turn: each due time has one run, over a day of summer time too (R6)."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopline.backend.local import LocalBackend
from loopline.records.flows import CronClock, FlowCode, FlowGraph, ScheduleSpec, StateKind
from loopline.records.operations import ListFlowRuns, RegisterFlow
from loopline.rules.timetable import next_times
from loopline.settings import Address

#: Two hours before the clocks of Europe go ahead, and then five hours.
START = datetime(2022, 3, 26, 23, 0, tzinfo=UTC)
DUE = 300
#: Seconds that pass for each second of the test.
SPEED = 400
MINUTELY = ScheduleSpec(clocks=[CronClock(cron="* * * * *", timezone="Europe/Berlin")])


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_two_schedulers_killed_twice_each_fire_every_due_time_once(tmp_path: Path) -> None:
    home = tmp_path / ".loopline"
    start_ms = int(START.timestamp() * 1000)
    backend = LocalBackend(Address("home", str(home)), clock=lambda: start_ms)
    backend.call(
        RegisterFlow(
            project="wagoncab project",
            name="retrain",
            fingerprint="1",
            graph=FlowGraph(),
            schedule=MINUTELY,
            code=FlowCode(kind="import", entry="taxifare.flow:flow"),
        )
    )
    began = time.time() + 15.0  # Both are there when the clock begins to go.
    program = Path(__file__).with_name("scheduler_program.py")
    command = [sys.executable, str(program), str(home), str(began), str(start_ms), str(SPEED)]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    chance = random.Random(6)  # noqa: S311 - no secret
    alive, kills = [start(), start()], 0
    expected = [round(each.at.timestamp() * 1000) for each in next_times(MINUTELY, START, DUE)]
    try:
        while time.time() - began < DUE * 60 / SPEED + 15:
            time.sleep(chance.uniform(2.0, 4.0))
            if kills < 4 and time.time() > began:
                # One is down for a while, then the next one is killed.
                alive[kills % 2].kill()
                alive[kills % 2].communicate()
                time.sleep(chance.uniform(0.0, 1.0))
                alive[kills % 2] = start()
                kills += 1
            runs = backend.call(ListFlowRuns(states=[StateKind.SUCCESS], max_results=9_999))
            if {run.scheduled_ms for run in runs.flow_runs} >= set(expected):
                break
    finally:
        for process in alive:
            process.kill()
            process.communicate()
    runs = backend.call(ListFlowRuns(max_results=9_999))
    due = sorted(run.scheduled_ms for run in runs.flow_runs)
    backend.close()
    assert kills == 4
    assert due[:DUE] == expected
    assert len(set(due)) == len(due)
