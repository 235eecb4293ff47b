"""Claim: a task of a flow costs microseconds, with every state durable.

Measured: a chain of no-op tasks through ``flow.run()`` in an embedded home, at 100 and 1,000
tasks, CPU of the whole process until every state is in the store.
Against: the same chain through a one-thread ``concurrent.futures`` pool, in the same run.
Fair: both hand each result to the next task; the pool keeps nothing.
Does not show: tasks that do something, other executors, a server.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmarks.measure import report

import loopline
from loopline import Flow, task
from loopline.backend.recorder import close_recorders, get_recorder

if TYPE_CHECKING:
    from collections.abc import Callable


@task
def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


def chain(length: int) -> Flow:
    """Make a flow of tasks that wait for one another."""
    with Flow("chain") as flow:
        value = following(0)
        for _ in range(length - 1):
            value = following(value)
    return flow


def process_us(work: Callable[[], object], count: int) -> list[float]:
    """Measure CPU of all threads, in microseconds a task."""
    work()
    found = []
    for _ in range(5):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) / count * 1e6)
    return found


def main() -> None:
    """Measure and print."""
    logging.getLogger("loopline").setLevel(logging.ERROR)
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(1) as pool:
        loopline.set_tracking_uri(home)

        def futures() -> None:
            value = 0
            for _ in range(1000):
                value = pool.submit(lambda given: given + 1, value).result()

        results["concurrent.futures, one thread"] = process_us(futures, 1000)
        for length in (100, 1000):
            flow = chain(length)

            def run(flow: Flow = flow) -> None:
                flow.run()
                get_recorder().flush()

            results[f"flow.run(), {length:,} tasks, durable"] = process_us(run, length)
        close_recorders()
    report("A chain of no-op tasks", results, limit="concurrent.futures, one thread")
    small = statistics.median(results["flow.run(), 100 tasks, durable"])
    large = statistics.median(results["flow.run(), 1,000 tasks, durable"])
    print(f"\nTen times the tasks cost {large / small:.2f} times as much a task.")


if __name__ == "__main__":
    main()
