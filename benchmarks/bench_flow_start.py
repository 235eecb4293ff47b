"""Claim: a flow run begins a fraction of a second after it is due.

Measured: wall time from the due time of a run to the Running state of its first task, with a
worker (`loopline worker`) that has nothing else to do, each run in a process of its own; for runs
that were due at a known time, and for runs that somebody asks for now.
Against: `python -c pass`, started between the runs.
Fair: the same machine and minute; both start a process that can run Python.
Does not show: flows whose imports take long: user code is imported in each run.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_flow_start.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.records.flows import FlowRunEvent, StateKind
from loopline.records.operations import (
    CreateFlowRun,
    GetFlowRun,
    ListFlowRunEvents,
    ListWorkers,
)
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable

FLOW = """
from loopline import Flow, task

@task
def train():
    return 1

with Flow("retrain") as flow:
    train()
flow.register("wagoncab project", no_url=True)
"""


def wait(found: Callable[[], object]) -> None:
    """Wait until there is something."""
    while not found():
        time.sleep(0.01)


def start_s(backend: LocalBackend, *, ahead_s: float) -> float:
    """Have a flow run run; return the seconds from its due time to its first task."""
    due_ms = time.time_ns() // 1_000_000 + round(ahead_s * 1000)
    asked = CreateFlowRun(project="wagoncab project", name="retrain", scheduled_ms=due_ms)
    flow_run_id = backend.call(asked).flow_run_id
    wait(lambda: backend.call(GetFlowRun(flow_run_id=flow_run_id)).state.is_finished)
    events: list[FlowRunEvent] = backend.call(ListFlowRunEvents(flow_run_id=flow_run_id))
    began = next(e for e in events if e.task_slug and e.state is StateKind.RUNNING)
    return (began.at_ms - due_ms) / 1000


def python_s() -> float:
    """Start Python and let it end; return the seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def tell(name: str, values: list[float], base: float) -> None:
    """Print a row."""
    ordered = sorted(values)
    median = statistics.median(values)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    print(f"{name:44}{median:9.3f}{p99:9.3f}{ordered[0]:9.3f}{median / base:9.1f}")


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, ".loopline")
        environment = {**os.environ, "LOOPLINE_URI": str(home)}
        Path(folder, "flow.py").write_text(FLOW)
        subprocess.run([sys.executable, "flow.py"], cwd=folder, env=environment, check=True)
        backend = LocalBackend(Address("home", str(home)))
        worker = subprocess.Popen(
            [sys.executable, "-m", "loopline.cli", "worker"],
            cwd=folder, env=environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait(lambda: backend.call(ListWorkers()))
            start_s(backend, ahead_s=0.0)
            python: list[float] = []
            known: list[float] = []
            asked: list[float] = []
            for _ in range(runs):
                python.append(python_s())
                known.append(start_s(backend, ahead_s=1.0))
                asked.append(start_s(backend, ahead_s=0.0))
        finally:
            worker.terminate()
            worker.wait()
            backend.close()
    base = statistics.median(python)
    load = os.getloadavg()[0]
    print(f"\nDue time to first task, {runs} runs each, load {load:.1f}; seconds\n")
    print(f"{'':44}{'median':>9}{'p99':>9}{'min':>9}{'ratio':>9}")
    tell("python -c pass", python, base)
    tell("a run that was due at a known time", known, base)
    tell("a run that is asked for now", asked, base)


if __name__ == "__main__":
    main()
