"""R6: schedules fire exactly once, whoever schedules, dies or sets the clock."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

import pytest

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.facts import FlowRunState
from loopline.records.flows import FlowCode, FlowGraph, StateKind
from loopline.records.schedules import (
    Clock,
    CronClock,
    DatesClock,
    IntervalClock,
    RecurrenceRule,
    RRuleClock,
    ScheduleFunction,
    ScheduleSpec,
)
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

NEW_YORK = ZoneInfo("America/New_York")
MINUTES = 300

#: Looks at the schedules as fast as it can, by a clock that the test sets.
SCHEDULER = """
import sys, time
from pathlib import Path
from loopline.backend.local import LocalBackend
from loopline.records.operations import MaterialiseSchedules
from loopline.settings import Address

clock = Path(sys.argv[2])
backend = LocalBackend(Address("home", sys.argv[1]), clock=lambda: int(clock.read_text()))
print("ready", flush=True)
while True:
    backend.call(MaterialiseSchedules())
    time.sleep(0.05)
"""


def every_minute(start: datetime) -> list[datetime]:
    return [start + timedelta(minutes=each) for each in range(1, MINUTES + 1)]


def first_time_only(times: list[datetime]) -> list[datetime]:
    return [at for at in times if at.astimezone(NEW_YORK).fold == 0]


def schedules(start: datetime) -> dict[str, tuple[ScheduleSpec, list[datetime]]]:
    """Make one of each kind, and say by counting minutes when it is due."""
    minutes = every_minute(start)
    anchor = (start - timedelta(days=1)).isoformat()
    rule = RecurrenceRule(
        text="DTSTART:20220101T000000\nRRULE:FREQ=MINUTELY", timezone="America/New_York"
    )
    cron = CronClock(cron="* * * * *", timezone="America/New_York")
    kinds: dict[str, tuple[Clock, list[datetime]]] = {
        "interval": (IntervalClock(interval_s=60, anchor=anchor), minutes),
        "cron": (cron, first_time_only(minutes)),
        "rule": (RRuleClock(rules=[rule], timezone=rule.timezone), first_time_only(minutes)),
        "dates": (DatesClock(dates=[at.isoformat() for at in minutes]), minutes),
    }
    made = {name: (ScheduleSpec(clocks=[clock]), due) for name, (clock, due) in kinds.items()}
    odd_hours = ScheduleFunction(
        name="between_times", arguments={"start": "03:00:00", "end": "03:59:59"}
    )
    made["filtered"] = (
        ScheduleSpec(clocks=[cron], not_filters=[odd_hours]),
        [at for at in first_time_only(minutes) if at.astimezone(NEW_YORK).hour != 3],
    )
    return made


class Schedulers:
    """Two schedulers on one store, which are killed and started anew."""

    def __init__(self, home: Path, clock: Path) -> None:
        self._command = [sys.executable, "-c", SCHEDULER, str(home), str(clock)]
        self._running = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def kill(self, which: int) -> None:
        self._running[which].kill()
        self._running[which].communicate()

    def restart(self, which: int) -> None:
        self._running[which] = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        died = [process.poll() for process in self._running]
        self.kill(0)
        self.kill(1)
        assert died == [None, None]


def claim_all(backend: LocalBackend) -> list[tuple[str, int]]:
    """Take all that is due, and end it: the flow's name and the due time of each."""
    claimed = []
    while lease := backend.call(ops.ClaimFlowRun(worker="night", lease_s=3600.0)):
        run = lease.flow_run
        ended = FlowRunState(
            flow_run_id=run.flow_run_id,
            state=StateKind.SUCCESS,
            at_ms=run.scheduled_ms,
            token=lease.token,
        )
        backend.call(ops.RecordFacts(facts=[ended]))
        claimed.append((run.flow_name, run.scheduled_ms))
    return claimed


@pytest.mark.deep
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "change", [datetime(2022, 3, 13, 7, tzinfo=UTC), datetime(2022, 11, 6, 6, tzinfo=UTC)]
)
def test_300_due_times_fire_once_each_over_a_change_of_the_clocks(
    change: datetime, tmp_path: Path
) -> None:
    start = change - timedelta(minutes=MINUTES // 2)
    clock, home = tmp_path / "clock", tmp_path / ".loopline"
    now = [start]

    def set_clock(at: datetime) -> None:
        now[0] = at
        part = clock.with_suffix(".part")
        part.write_text(str(round(at.timestamp() * 1000)))
        part.replace(clock)

    set_clock(start)
    backend = LocalBackend(
        Address("home", str(home)), clock=lambda: round(now[0].timestamp() * 1000)
    )
    expected = schedules(start)
    for name, (spec, _) in expected.items():
        backend.call(
            ops.RegisterFlow(
                project="wagoncab project", name=name, fingerprint=name, graph=FlowGraph(),
                code=FlowCode(kind="import"), schedule=spec,
            )
        )  # fmt: skip
    random = Random(20220313)  # noqa: S311 - a repeatable choice, no secret
    kills = {at: index % 2 for index, at in enumerate(sorted(random.sample(range(10, 280), 4)))}
    back_at = random.randrange(100, 200)
    claimed: list[tuple[str, int]] = []
    with Schedulers(home, clock) as schedulers:
        for minute in [*range(back_at), *range(back_at - 60, MINUTES + 1)]:
            set_clock(start + timedelta(minutes=minute, seconds=1))
            which = kills.pop(minute, None)
            if which is not None:
                schedulers.kill(which)
                schedulers.restart(which)
            else:
                time.sleep(0.06)
            claimed += claim_all(backend)
        assert not kills
        time.sleep(2)  # As long as a takeover may take.
        claimed += claim_all(backend)

    assert len(set(claimed)) == len(claimed)
    for name, (_, due) in expected.items():
        fired = sorted(at for flow, at in claimed if flow == name)
        assert fired == [round(at.timestamp() * 1000) for at in due], name
    backend.close()
