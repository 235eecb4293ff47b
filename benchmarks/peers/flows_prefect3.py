"""Prefect 3's flows, with the server that it starts for itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from protocol import main

if TYPE_CHECKING:
    from pathlib import Path

#: Fewer: at three milliseconds of CPU each, and as many of its server, a thousand take a minute.
TASKS = 200
ONE = """
from prefect import flow, task

@task
def one():
    return 1

@flow
def run():
    one()

run()
"""


def measured(folder: Path, *, is_mapped: bool) -> dict[str, float]:
    """Run a flow of tasks, once to get warm."""
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    from flow_works import per_task
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    @task
    def following(value: int) -> int:
        return value + 1

    @flow
    def chain() -> int:
        value = 0
        for _ in range(TASKS):
            value = following(value)
        return value

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))  # type: ignore[arg-type]
    def mapped() -> list[int]:
        return following.map(range(TASKS)).result()

    return per_task(mapped if is_mapped else chain, TASKS)


def flow_chain(folder: Path) -> dict[str, float]:
    """A chain of tasks."""
    return measured(folder, is_mapped=False)


def flow_mapped(folder: Path) -> dict[str, float]:
    """One mapped task over four threads."""
    return measured(folder, is_mapped=True)


def flow_whole(folder: Path) -> dict[str, float]:
    """A flow of one task in a process of its own."""
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    script = folder / "one.py"
    script.write_text(ONE)
    subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
    began = time.perf_counter()
    subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
    return {"whole_s": time.perf_counter() - began}


if __name__ == "__main__":
    main({"flow_chain": flow_chain, "flow_mapped": flow_mapped, "flow_whole": flow_whole})
