"""Loopline's flows: measured until every state is in the store."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from flow_works import TASKS, per_task
from protocol import main

import loopline
from loopline import Flow, task
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import get_recorder
from loopline.executors import DaskExecutor, ThreadExecutor
from loopline.records.operations import ListFlowRuns
from loopline.settings import Address

ONE = """
from loopline import Flow, task

@task
def one():
    return 1

with Flow("one") as flow:
    one()
flow.run()
"""


@task
def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


def durable(flow: Flow, **options: object) -> None:
    """Run a flow until the store has all of it."""
    state = flow.run(**options)
    get_recorder().flush(120.0)
    if not state.is_successful():
        raise SystemExit(state.message)


def chain(length: int) -> Flow:
    """Make a flow of tasks that wait for one another."""
    with Flow("chain") as flow:
        value = following(0)
        for _ in range(length - 1):
            value = following(value)
    return flow


def mapped(width: int) -> Flow:
    """Make a flow of one mapped task."""
    with Flow("mapped") as flow:
        following.map(list(range(width)))
    return flow


def flow_chain(folder: Path) -> dict[str, float]:
    """Run chains of two lengths."""
    loopline.set_tracking_uri(folder)
    short, long = chain(TASKS), chain(10 * TASKS)
    found = per_task(lambda: durable(short))
    return {
        **found,
        "long_cpu_us": per_task(lambda: durable(long), 10 * TASKS, warm=False)["cpu_us"],
    }


def flow_mapped(folder: Path) -> dict[str, float]:
    """Map over four threads."""
    loopline.set_tracking_uri(folder)
    flow = mapped(TASKS)
    return per_task(lambda: durable(flow, executor=ThreadExecutor(4)))


def flow_cluster(folder: Path) -> dict[str, float]:
    """Map on a local Dask cluster that is there already."""
    import distributed

    loopline.set_tracking_uri(folder)
    flow = mapped(TASKS)
    make = distributed.LocalCluster
    with make(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        return per_task(lambda: durable(flow, executor=DaskExecutor(made.scheduler_address)))


def flow_whole(folder: Path) -> dict[str, float]:
    """Run a flow of one task in a process of its own, and again in one that is warm."""
    script = folder / "one.py"
    script.write_text(ONE)
    environment = {**os.environ, "LOOPLINE_URI": str(folder / "home")}
    words = [sys.executable, str(script)]
    subprocess.run(words, env=environment, check=True, stderr=subprocess.DEVNULL)
    backend = LocalBackend(Address("home", str(folder / "home")))
    look_s(backend)
    began = time.perf_counter()
    subprocess.run(words, env=environment, check=True, stderr=subprocess.DEVNULL)
    whole_s = time.perf_counter() - began
    look_ms = (look_s(backend) - look_s(backend)) * 1e3
    backend.close()
    loopline.set_tracking_uri(folder / "warm")
    flow = chain(1)
    durable(flow)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        flow.run()
        times.append(time.perf_counter() - began)
    return {"whole_s": whole_s, "warm_ms": sorted(times)[10] * 1e3, "look_ms": look_ms}


def look_s(backend: LocalBackend) -> float:
    """Tell how long a look at the newest flow runs takes."""
    began = time.perf_counter()
    backend.call(ListFlowRuns(max_results=1))
    return time.perf_counter() - began


def flow_many(folder: Path) -> dict[str, float]:
    """Map over more and more, each in a process of its own."""
    found = {}
    for width in (1000, 10_000, 100_000):
        words = [sys.executable, __file__, f"flow_many_{width}", str(folder / str(width))]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        wall_s, mb = map(float, done.stdout.split())
        found[width] = (wall_s, mb)
    return {
        "wall_s": found[100_000][0],
        "times_ten": found[100_000][0] / found[10_000][0],
        "more_mb": found[100_000][1] - found[1000][1],
    }


def run_many(width: int, folder: Path) -> None:
    """Print the wall time of a mapped flow, and the most memory that it took."""
    loopline.set_tracking_uri(folder)
    flow = mapped(width)
    began = time.perf_counter()
    durable(flow, executor=ThreadExecutor(4))
    wall_s = time.perf_counter() - began
    peak_kb = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    print(wall_s, peak_kb / 1024)


if __name__ == "__main__":
    logging.getLogger("loopline").setLevel(logging.ERROR)
    if sys.argv[1].startswith("flow_many_"):
        run_many(int(sys.argv[1].rpartition("_")[2]), Path(sys.argv[2]))
    else:
        main({
            "flow_chain": flow_chain, "flow_mapped": flow_mapped, "flow_cluster": flow_cluster,
            "flow_whole": flow_whole, "flow_many": flow_many,
        })  # fmt: skip
