"""R7: with nothing set up, a flow run whose worker is gone is Failed (lost) within 30 seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.reliability.stalls import Stalls

from loopline.backend.local import LocalBackend
from loopline.records.flows import StateKind
from loopline.records.operations import CreateFlowRun, GetFlowRun, ListFlowRunEvents
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.flows import FlowRun

#: What R7 allows.
LOST_S = 30.0

FLOWS = """
import time
from pathlib import Path
from loopline import Flow, task

@task
def extract():
    return 1

@task
def train(rows):
    until = time.monotonic() + 600
    while not Path({folder!r}, "again").exists() and time.monotonic() < until:
        time.sleep(0.05)
    return rows

for name in ("no", "continue"):
    with Flow(name) as flow:
        train(extract())
    flow.register("wagoncab project", resume=name, no_url=True)
"""


def start_worker(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "loopline.cli", "worker", *options]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True
    )  # fmt: skip


def kill_all_of(process: subprocess.Popen[bytes]) -> None:
    """End a worker with all it started, as when its machine loses power."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_worker_that_is_gone_is_noticed_and_its_runs_end_or_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".loopline").mkdir()
    (tmp_path / "flow.py").write_text(FLOWS.format(folder=str(tmp_path)))
    subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, check=True)
    backend = LocalBackend(Address("home", str(tmp_path / ".loopline")))

    def wait_for(flow_run_id: str, state: StateKind) -> FlowRun:
        until = time.monotonic() + 120
        while (run := backend.call(GetFlowRun(flow_run_id=flow_run_id))).state is not state:
            assert time.monotonic() < until, run
            time.sleep(0.05)
        return run

    with ExitStack() as stack:
        stalls = stack.enter_context(Stalls())
        doomed = start_worker(tmp_path, "--slots", "2")
        ids = {
            name: backend.call(CreateFlowRun(project="wagoncab project", name=name)).flow_run_id
            for name in ("no", "continue")
        }
        for each in ids.values():
            wait_for(each, StateKind.RUNNING)
        other = start_worker(tmp_path)
        stack.callback(kill_all_of, other)
        time.sleep(2)
        killed_ms = time.time_ns() // 1_000_000
        kill_all_of(doomed)

        failed = wait_for(ids["no"], StateKind.FAILED)
        (tmp_path / "again").touch()
        wait_for(ids["continue"], StateKind.SUCCESS)
        lost_ms = {
            name: next(
                event.at_ms
                for event in backend.call(ListFlowRunEvents(flow_run_id=each))
                if event.state in {StateKind.FAILED, StateKind.SUBMITTED}
                and event.at_ms > killed_ms
                and not event.task_slug
            )
            for name, each in ids.items()
        }
        stalled_s = stalls.longest_s

    took_s = {name: (at - killed_ms) / 1000 for name, at in lost_ms.items()}
    with capsys.disabled():
        print(f" noticed after {took_s['no']:.1f} and {took_s['continue']:.1f} s", end=" ")
    assert failed.message.startswith("lost")
    assert max(took_s.values()) <= LOST_S + stalled_s
    finished = [
        event
        for event in backend.call(ListFlowRunEvents(flow_run_id=ids["continue"]))
        if event.task_slug == "extract-1" and event.state is StateKind.SUCCESS
    ]
    assert len(finished) == 1
    backend.close()
