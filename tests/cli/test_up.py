"""`loopline up`: one command that serves, schedules and runs flows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.http import HttpBackend
from loopline.records.flows import StateKind
from loopline.records.operations import CreateFlowRun, GetFlowRun
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLOW = """
from loopline import Flow, task

@task
def evaluate():
    print("fare error 3.74")

with Flow("taxifare") as flow:
    evaluate()

flow.register("wagoncab")
"""


@contextmanager
def up(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [
        sys.executable,
        "-m",
        "loopline.cli",
        "up",
        "--port",
        "0",
        "--json",
        "--uri",
        str(home),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process
    finally:
        process.kill()
        process.communicate()


def workers_of(parent: int) -> list[int]:
    """Find the worker processes that were started for a parent."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in command and b"--parent" in command and str(parent).encode() in command:
            found.append(int(folder.name))
    return found


def wait_until(is_so: Callable[[], object], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def test_a_flow_runs_and_a_signal_stops_server_and_worker(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    with up(tmp_path / ".loopline") as (url, process):
        environment = {**os.environ, "LOOPLINE_URI": url, "LOOPLINE_HOME": str(tmp_path / "client")}
        subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, env=environment, check=True)
        backend = HttpBackend(Address("http", url))
        asked = backend.call(CreateFlowRun(project="wagoncab", name="taxifare"))

        def state() -> StateKind:
            return backend.call(GetFlowRun(flow_run_id=asked.flow_run_id)).state

        wait_until(lambda: state().is_finished)
        assert state() is StateKind.SUCCESS
        backend.close()

        assert len(workers_of(process.pid)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert workers_of(process.pid) == []


def test_a_worker_that_dies_is_started_again_and_none_outlives_its_parent(tmp_path: Path) -> None:
    with up(tmp_path / ".loopline") as (_, process):
        wait_until(lambda: workers_of(process.pid))
        (first,) = workers_of(process.pid)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: workers_of(process.pid) not in ([], [first]))
        process.kill()
        process.wait(10)
        wait_until(lambda: not workers_of(process.pid))


def test_a_home_that_no_worker_can_write_to_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / ".loopline").mkdir()
    (
        tmp_path / ".loopline/workers"
    ).touch()  # Where their folder would be; root may write all else.
    command = [sys.executable, "-m", "loopline.cli", "up", "--port", "0", "--uri"]
    ran = subprocess.run(
        [*command, str(tmp_path / ".loopline")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert f"The home {tmp_path / '.loopline'} cannot be written" in ran.stderr
    assert "up at" not in ran.stdout
