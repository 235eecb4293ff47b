"""R6: a scheduled run is begun within two seconds of its time, also when a scheduler was killed."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.reliability.stalls import Stalls

from loopline.backend.local import LocalBackend
from loopline.records.flows import StateKind
from loopline.records.operations import ListFlowRunEvents, ListFlowRuns
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.flows import FlowRun

EVERY_S = 2
DUE_TIMES = 25
#: What R6 allows.
LATE_S = 2.0
#: What no due run may wait, however busy the machine is.
WORST_S = 10.0
BEGUN = [StateKind.SUBMITTED, StateKind.RUNNING, StateKind.SUCCESS, StateKind.FAILED]

FLOW = f"""
from datetime import timedelta
from loopline import Flow, task
from loopline.schedules import IntervalSchedule

@task
def evaluate():
    pass

with Flow("evaluate", IntervalSchedule(interval=timedelta(seconds={EVERY_S}))) as flow:
    evaluate()
flow.register("wagoncab project", no_url=True)
"""


class Worker:
    """``loopline worker`` as people start it, which schedules too: there is no server."""

    def __init__(self, folder: Path, name: str) -> None:
        self._command = [
            sys.executable, "-m", "loopline.cli", "worker", "--name", name, "--slots", "4",
        ]  # fmt: skip
        self._folder = folder
        self._log = (folder / f"{name}.log").open("ab")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, cwd=self._folder, stderr=self._log)

    def kill_and_restart(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_due_runs_begin_in_time_while_schedulers_are_killed_in_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".loopline").mkdir()
    (tmp_path / "flow.py").write_text(FLOW)
    random = Random(6)  # noqa: S311 - a repeatable choice, no secret
    kills = sorted(random.sample(range(3, DUE_TIMES - 2), 4))
    killed_ms: list[int] = []
    backend = LocalBackend(Address("home", str(tmp_path / ".loopline")))
    with ExitStack() as stack:
        workers = [Worker(tmp_path, name) for name in ("a", "b")]
        for worker in workers:
            stack.callback(worker.close)
        subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, check=True)
        stalls = stack.enter_context(Stalls())
        wait_for_claims(backend, 1)
        for which, after in enumerate(kills):
            wait_for_claims(backend, after)
            time.sleep(random.uniform(0.0, EVERY_S))
            killed_ms.append(time.time_ns() // 1_000_000)
            workers[which % 2].kill_and_restart()
        wait_for_claims(backend, DUE_TIMES)
        stalled_s = stalls.longest_s

    late_s = lateness(backend)
    due_ms = sorted(late_s)
    # The first is as late as the registration came; the others were known before.
    expected = list(range(due_ms[0], due_ms[-1] + 1, EVERY_S * 1000))
    assert due_ms == expected
    after_a_kill = [late_s[next(at for at in due_ms if at > when)] for when in killed_ms]
    known = [late_s[at] for at in due_ms[1:]]
    usually, worst = statistics.median(known), max(known)
    with capsys.disabled():
        print(
            f" late: {usually:.2f} s in the middle, {worst:.2f} s at most, "
            f"{max(after_a_kill):.2f} s after a kill; the machine stood still {stalled_s:.2f} s",
            end=" ",
        )
    assert usually <= LATE_S
    # Beside other tests a process may wait for a core: of ten one may be later, and none is lost.
    in_time = sum(late <= LATE_S + stalled_s for late in known)
    assert in_time >= 0.9 * len(known)
    assert worst <= WORST_S
    backend.close()


def wait_for_claims(backend: LocalBackend, number: int) -> None:
    """Wait until so many due runs were begun."""
    until = time.monotonic() + 120
    while len(backend.call(ListFlowRuns(states=BEGUN, max_results=1000)).flow_runs) < number:
        assert time.monotonic() < until
        time.sleep(0.2)


def begun(backend: LocalBackend) -> list[FlowRun]:
    """List what a worker had, also what waits for the next one since that worker was killed."""
    runs = backend.call(ListFlowRuns(max_results=10_000)).flow_runs  # An hour's, ahead.
    return [run for run in runs if run.token > 0]


def lateness(backend: LocalBackend) -> dict[int, float]:
    """Return by how many seconds each due time was begun late, by the store's own records."""
    late: dict[int, float] = {}
    for run in sorted(begun(backend), key=lambda run: run.scheduled_ms):
        events = backend.call(ListFlowRunEvents(flow_run_id=run.flow_run_id))
        first = min(event.at_ms for event in events if event.state is StateKind.SUBMITTED)
        assert run.scheduled_ms not in late, "a due time was begun twice"
        late[run.scheduled_ms] = (first - run.scheduled_ms) / 1000
    return late
