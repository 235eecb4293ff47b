"""What the programs ``flows_*.py`` share: how a flow's CPU is measured."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from protocol import cpu_s, descendants

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TASKS", "per_task"]

#: Tasks of the chain and of the mapped flow.
TASKS = 1000


def per_task(
    run: Callable[[], object], tasks: int = TASKS, *, warm: bool = True
) -> dict[str, float]:
    """Run once to get warm, then measure three runs; only one, when it is not to get warm.

    Returns:
        ``cpu_us`` and ``wall_us``: microseconds a task, CPU of all processes together; of the
        run in the middle.
    """
    if warm:
        run()
    found = []
    for _ in range(3 if warm else 1):
        before, began = _cpu_s(), time.perf_counter()
        run()
        wall_s = time.perf_counter() - began
        found.append((_cpu_s() - before, wall_s))
    cpu, wall_s = sorted(found)[len(found) // 2]
    return {"cpu_us": cpu / tasks * 1e6, "wall_us": wall_s / tasks * 1e6}


def _cpu_s() -> float:
    children = sum(cpu_s(fields) for fields in descendants(os.getpid()).values())
    return time.process_time() + children
