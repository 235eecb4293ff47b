"""R7: a run whose process died says so by itself; one that was only away is not overwritten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.protocol import Backend

#: Logs until a line comes in, then ends its run.
TRAINING = """
import sys, threading
import loopline

with loopline.start_run() as run:
    print(run.run_id, flush=True)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    step = 0
    while not over.wait(0.01):
        loopline.log_metric("rmse", step / 2, step=step)
        step += 1
print(step, flush=True)
"""


def start_training(uri: str, home: Path) -> tuple[subprocess.Popen[str], str]:
    (home / ".loopline").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=home,
        env={**os.environ, "LOOPLINE_URI": uri, "HOME": str(home), "LOOPLINE_NO_CAPTURE": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def wait_for(backend: Backend, run_id: str, *statuses: RunStatus) -> float:
    """Wait until a run has one of these statuses; return how long it took."""
    began = time.monotonic()
    while True:
        found = backend.call(ops.SearchRuns(filter=f"run_id = '{run_id}'")).runs
        waited = time.monotonic() - began
        if found and found[0].status in statuses and found[0].metrics:
            return waited
        assert waited < 90
        time.sleep(0.05)


def test_a_paused_process_that_comes_back_takes_its_run_back(tmp_path: Path) -> None:
    store = tmp_path / "store"
    training, run_id = start_training(str(store), tmp_path)
    backend = LocalBackend(Address("home", str(store)))
    wait_for(backend, run_id, RunStatus.RUNNING)

    training.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    assert backend.call(ops.CloseLostRuns(silent_s=0.2)) == [run_id]
    lost = backend.call(ops.GetRun(run_id=run_id))
    training.send_signal(signal.SIGCONT)
    wait_for(backend, run_id, RunStatus.RUNNING)
    steps = training.communicate("\n")[0].strip()

    ended = backend.call(ops.GetRun(run_id=run_id))
    backend.close()
    assert (lost.status, lost.end_reason.partition(":")[0]) == (RunStatus.FAILED, "lost")
    assert (ended.status, ended.end_reason) == (RunStatus.FINISHED, "")
    assert ended.metrics["rmse"].count == int(steps)


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_on_another_machine_it_takes_half_a_minute_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Two homes: what the server cannot lock, it cannot know to be dead but by its silence.
    with ServerProcess(str(tmp_path / "store"), tmp_path / "server") as server:
        backend = HttpBackend(Address("http", server.url))
        killed, killed_id = start_training(server.url, tmp_path / "a")
        paused, paused_id = start_training(server.url, tmp_path / "b")
        for run_id in (killed_id, paused_id):
            wait_for(backend, run_id, RunStatus.RUNNING)

        killed.kill()
        paused.send_signal(signal.SIGSTOP)
        took = wait_for(backend, killed_id, RunStatus.FAILED)
        wait_for(backend, paused_id, RunStatus.FAILED)
        paused.send_signal(signal.SIGCONT)
        wait_for(backend, paused_id, RunStatus.RUNNING)
        steps = paused.communicate("\n")[0].strip()

        with capsys.disabled():
            print(f" {took:.1f} s", end=" ")
        assert backend.call(ops.GetRun(run_id=killed_id)).end_reason.startswith("lost")
        ended = backend.call(ops.GetRun(run_id=paused_id))
        assert (ended.status, ended.metrics["rmse"].count) == (RunStatus.FINISHED, int(steps))
        killed.communicate()
        backend.close()
