"""Dagster's ops, in one process with an instance that keeps its events in memory."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster import DynamicOut, DynamicOutput, job, op
from flow_works import per_task
from protocol import main

#: Fewer: at five milliseconds each.
TASKS = 200
ONE = """
from dagster import job, op

@op
def one():
    return 1

@job
def run():
    one()

run.execute_in_process()
"""


@op
def first() -> int:
    """Begin."""
    return 0


@op
def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


@op(out=DynamicOut())
def many() -> Iterator[Any]:
    """Give what to map over."""
    for value in range(TASKS):
        yield DynamicOutput(value, mapping_key=str(value))


@job
def chain() -> None:
    """A chain of ops."""
    value = first()
    for _ in range(TASKS - 1):
        value = following(value)


@job
def mapped() -> None:
    """One op mapped, in one process."""
    many().map(following)


def flow_chain(_: Path) -> dict[str, float]:
    """A chain of ops."""
    return per_task(chain.execute_in_process, TASKS)


def flow_mapped(_: Path) -> dict[str, float]:
    """Mapped ops: in one thread, as it has no threads."""
    return per_task(mapped.execute_in_process, TASKS)


def flow_whole(folder: Path) -> dict[str, float]:
    """A job of one op in a process of its own."""
    script = folder / "one.py"
    script.write_text(ONE)
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True)
    return {"whole_s": time.perf_counter() - began}


if __name__ == "__main__":
    main({"flow_chain": flow_chain, "flow_mapped": flow_mapped, "flow_whole": flow_whole})
