"""What the benchmarks share: repeated timings in one process, and a table of ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STORES", "ask_peer", "cpu_us", "load", "report", "table", "wall_ms"]

#: Where filled stores are kept between runs.
STORES = Path.home() / ".cache" / "loopline" / "benchmarks"


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


def wall_ms(work: Callable[[], object], *, repeats: int = 9) -> float:
    """Median of the wall times of some runs, in milliseconds, the first left out."""
    work()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1e3)
    return statistics.median(found)


def ask_peer(work: str) -> dict[str, float]:
    """Let the peer's Python (``--peer``) do the same work; empty without one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", help="a Python that has mlflow, to measure beside")
    peer, _ = parser.parse_known_args()
    if not peer.peer:
        return {}
    script = Path(__file__).with_name("peer_mlflow.py")
    done = subprocess.run(
        [peer.peer, script, work, STORES], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def load() -> str:
    """Say how busy the machine is."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def table(claim: str, heads: list[str], rows: list[list[object]]) -> None:
    """Print a table in Markdown, as ``docs/benchmarks.md`` has it."""
    print(f"\n{claim} (Python {platform.python_version()}, {load()})\n")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        cells = [f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row]
        print("| " + " | ".join(cells) + " |")
