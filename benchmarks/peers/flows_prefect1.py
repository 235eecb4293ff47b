"""Prefect 1's ``flow.run()``, which keeps nothing without its backend."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import prefect
from flow_works import TASKS, per_task
from prefect.executors import LocalDaskExecutor
from protocol import main

if TYPE_CHECKING:
    from pathlib import Path

ONE = """
from prefect import Flow, task

@task
def one():
    return 1

with Flow("one") as flow:
    one()
flow.run()
"""


@prefect.task
def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


def flow_chain(_: Path) -> dict[str, float]:
    """A chain of tasks."""
    with prefect.Flow("chain") as flow:
        value = following(0)
        for _ in range(TASKS - 1):
            value = following(value)
    return per_task(flow.run, warm=False)


def flow_mapped(_: Path) -> dict[str, float]:
    """One mapped task over four threads."""
    with prefect.Flow("mapped") as flow:
        following.map(list(range(TASKS)))
    executor = LocalDaskExecutor("threads", num_workers=4)
    return per_task(lambda: flow.run(executor=executor), warm=False)


def flow_whole(folder: Path) -> dict[str, float]:
    """A flow of one task in a process of its own, and in a warm one."""
    script = folder / "one.py"
    script.write_text(ONE)
    subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
    began = time.perf_counter()
    subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
    whole_s = time.perf_counter() - began
    with prefect.Flow("one") as flow:
        following(0)
    flow.run()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        flow.run()
        times.append(time.perf_counter() - began)
    return {"whole_s": whole_s, "warm_ms": sorted(times)[10] * 1e3}


if __name__ == "__main__":
    os.environ.setdefault("PREFECT__LOGGING__LEVEL", "ERROR")
    main({"flow_chain": flow_chain, "flow_mapped": flow_mapped, "flow_whole": flow_whole})
