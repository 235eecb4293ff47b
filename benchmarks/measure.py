"""What the benchmarks without peers share: repeated timings in one process, a table of ratios."""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cpu_us", "report"]


def cpu_us(work: Callable[[], object], count: int, *, repeats: int = 7) -> list[float]:
    """Measure CPU time of this thread, in microseconds an operation, once a repeat.

    CPU and not wall time: the machines this runs on are shared.
    """
    work()  # Warm: imports, caches, first pages.
    found = []
    for _ in range(repeats):
        began = time.thread_time()
        work()
        found.append((time.thread_time() - began) / count * 1e6)
    return found


def report(claim: str, results: dict[str, list[float]], *, limit: str) -> None:
    """Print medians with their spread, and each as a ratio to the ``limit`` row of the same run."""
    base = statistics.median(results[limit])
    print(f"\n{claim}")
    print(f"Python {platform.python_version()}, {platform.machine()}; CPU microseconds each\n")
    print(f"{'':44}{'median':>9}{'min':>9}{'max':>9}{'ratio':>9}")
    for name, values in results.items():
        median = statistics.median(values)
        print(f"{name:44}{median:9.2f}{min(values):9.2f}{max(values):9.2f}{median / base:9.1f}")
