"""Ctrl-C: tasks are told, the flow run ends Cancelled, and no process and no thread is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.flows import StateKind
from loopline.settings import Address

SCRIPT = """
    import os, subprocess, sys, threading, time
    from pathlib import Path
    import loopline
    from loopline.executors import *
    from loopline.flows import Flow, task

    folder = Path(sys.argv[1])

    @task
    def work(name):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / f"{name}.pids").write_text(f"{os.getpid()} {child.pid}")
        try:
            for _ in range(60_000):
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait()
            (folder / f"{name}.told").touch()

    @task
    def never(value):
        (folder / "never").touch()

    if __name__ == "__main__":
        with Flow("work") as flow:
            never(work("one"))
            work("other")
        try:
            flow.run(executor=eval(sys.argv[2]))
        except KeyboardInterrupt:
            left = [each.name for each in threading.enumerate()]
            (folder / "threads").write_text("\\n".join(left))
            raise
"""

CLUSTER = "dict(n_workers=2, threads_per_worker=1, dashboard_address=':0', processes=True)"


def processes_of(home: Path) -> dict[int, str]:
    """Find the processes that were started for a test: its folder is in their environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(home).encode() in environment:
            found[int(entry.name)] = command
    return found


@pytest.mark.parametrize(
    ("executor", "at_once"),
    [
        ("LocalExecutor()", 1),
        ("ThreadExecutor(2)", 2),
        ("ProcessExecutor(2)", 2),
        ("LocalDaskExecutor('threads', 2)", 2),
        ("LocalDaskExecutor('processes', 2)", 2),
        pytest.param(f"DaskExecutor(cluster_kwargs={CLUSTER})", 2, marks=pytest.mark.deep),
    ],
    ids=["here", "threads", "processes", "LocalDask threads", "LocalDask processes", "Dask"],
)
def test_ctrl_c_stops_everything(tmp_path: Path, executor: str, at_once: int) -> None:
    script, home = tmp_path / "flow.py", tmp_path / "home"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "LOOPLINE_HOME": str(home), "LOOPLINE_URI": str(home)}
    program = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), executor], env=environment, process_group=0
    )
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pids"))) < at_once:
        assert program.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(program.pid, signal.SIGINT)
    assert program.wait(timeout=60) != 0

    assert not (tmp_path / "never").exists()
    assert len(list(tmp_path.glob("*.told"))) == at_once
    left = (tmp_path / "threads").read_text()
    assert "loopline worker" not in left
    assert "loopline process worker" not in left
    until = time.monotonic() + 10
    while (running := processes_of(home)) and time.monotonic() < until:
        time.sleep(0.05)
    assert running == {}
    backend = LocalBackend(Address("home", str(home)), home=home)
    try:
        (run,) = backend.call(ops.ListFlowRuns()).flow_runs
        assert run.state is StateKind.CANCELLED
        tasks = backend.call(ops.ListTaskRuns(flow_run_id=run.flow_run_id))
        assert {each.state for each in tasks} == {StateKind.CANCELLED}
    finally:
        backend.close()
