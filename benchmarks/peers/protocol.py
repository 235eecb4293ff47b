"""What the programs beside this file share: ``python peer_X.py WORK FOLDER`` prints one JSON line.

Standard library only, for it is imported by each peer's own Python. What a peer prints itself
goes to standard error. A work that a peer cannot do answers ``{"cannot": why}``.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import resource
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "HISTORY_POINTS",
    "PARAMS",
    "RUN_METRICS",
    "CpuMeter",
    "adopt_orphans",
    "call_times",
    "cpu_s",
    "descendants",
    "died_at",
    "log_for_ever",
    "main",
    "points",
    "rate",
    "until_durable",
    "wall_ms",
]

#: What a run of the runs benchmark logs.
PARAMS = {f"p{index}": index for index in range(10)}
RUN_METRICS = {f"m{index}": index / 3 for index in range(10)}
#: Length of the history that is read whole.
HISTORY_POINTS = 1_000_000

WARM_CALLS = 200
TICKS = os.sysconf("SC_CLK_TCK")
SET_CHILD_SUBREAPER = 36

TIMED = """
def timed(points, clock, note, until):
    for step, value in points:
        began = clock()
        {statement}
        ended = clock()
        note(ended - began)
        if ended > until:
            break
"""
UNTIMED = """
def untimed(points, clock, until):
    count = 0
    for step, value in points:
        {statement}
        count += 1
        if not count & 63 and clock() > until:
            break
    return count
"""
RETURNED = """
def for_ever(count, store, shared):
    step = 0
    while True:
        value = step / 2
        {statement}
        step += 1
        store(shared, 0, step)
"""


def points(count: int, start: int = 0) -> list[tuple[int, float]]:
    """Make the points of a training loop: steps in a row, values that never repeat."""
    choose = random.Random(start)  # noqa: S311 - repeatable, no secret
    return [(step, choose.random()) for step in range(start, start + count)]


def call_times(
    statement: str, names: dict[str, object], *, most: int, seconds: float = 4.0
) -> dict[str, float]:
    """Time each execution of a statement, which sees ``step`` and ``value``; microseconds.

    The statement stands in the loop itself, as in ``timeit``: no call is paid for but its own.
    The cost of reading the clock, the median of an empty statement, is taken off each.
    """
    clock = time.perf_counter_ns

    def run(what: str, given: list[tuple[int, float]]) -> list[int]:
        scope = dict(names)
        exec(TIMED.format(statement=what), scope)  # noqa: S102 - the statements are in the programs
        found: list[int] = []
        scope["timed"](given, clock, found.append, clock() + int(seconds * 1e9))  # type: ignore[operator]
        return found

    given = points(most + WARM_CALLS)
    run(statement, given[:WARM_CALLS])
    empty = statistics.median(run("pass", given[:20_000]))
    cpu = time.thread_time()
    found = run(statement, given[WARM_CALLS:])
    cpu = time.thread_time() - cpu
    found.sort()
    return {
        "calls": len(found),
        "p50_us": (found[len(found) // 2] - empty) / 1e3,
        "p99_us": (found[int(len(found) * 0.99)] - empty) / 1e3,
        "max_us": (found[-1] - empty) / 1e3,
        "thread_cpu_us": cpu / len(found) * 1e6 - empty / 1e3,
    }


def until_durable(
    statement: str,
    names: dict[str, object],
    finish: Callable[[], object],
    read: Callable[[], int],
    *,
    most: int,
    seconds: float = 4.0,
) -> dict[str, float]:
    """Measure CPU of all processes, from the first point until all are durable and readable.

    Args:
        statement: Logs one point; it sees ``step`` and ``value``.
        names: What else it sees.
        finish: What makes them durable and readable; its CPU counts.
        read: Answers how many points can be read; its CPU does not count.
        most: So many points, or fewer if ``seconds`` are over.
        seconds: How long to go on logging.
    """
    scope = dict(names)
    exec(UNTIMED.format(statement=statement), scope)  # noqa: S102 - the statements are in the programs
    given = points(most + WARM_CALLS)
    untimed: Any = scope["untimed"]
    clock = time.perf_counter
    warm = untimed(given[:WARM_CALLS], clock, clock() + seconds)
    time.sleep(1.5)  # What the warm-up left to others is done.
    meter = CpuMeter()
    began = clock()
    count = untimed(given[WARM_CALLS:], clock, began + seconds)
    returned_s = clock() - began
    finish()
    used = meter.used_s()
    took = clock() - began
    seen = read()
    if seen < warm + count:
        sys.exit(f"{warm + count} points were logged and {seen} can be read")
    return {
        "points": count,
        "cpu_us": used / count * 1e6,
        "returned_us": returned_s / count * 1e6,
        "wall_us": took / count * 1e6,
    }


def rate(count: int, work: Callable[[], object]) -> float:
    """Do a work once; tell how many of ``count`` things went through a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def wall_ms(work: Callable[[], object], *, repeats: int = 7) -> float:
    """Median of the wall times of some repeats, in milliseconds, after a first left out."""
    work()
    return statistics.median(1e3 / rate(1, work) for _ in range(repeats))


def log_for_ever(folder: Path, statement: str, names: dict[str, object]) -> None:
    """Log points until killed; how many calls had returned stands in ``FOLDER/returned``.

    The count is a store into a shared page, after the call: it outlives this process and can
    lag behind by the one call under way, never run ahead.
    """
    file = folder / "returned"
    (folder / "made").write_bytes(bytes(8))
    (folder / "made").rename(file)  # Whoever looks for it finds it whole.
    with file.open("r+b") as opened:
        shared = mmap.mmap(opened.fileno(), 8)
    scope = dict(names)
    exec(RETURNED.format(statement=statement), scope)  # noqa: S102 - the statements are in the programs
    store = struct.Struct("<q").pack_into
    for_ever: Any = scope["for_ever"]
    for_ever(0, store, shared)


def died_at(folder: Path) -> int:
    """Tell how many calls had returned when the process died."""
    return int(struct.unpack("<q", (folder / "returned").read_bytes())[0])


class CpuMeter:
    """CPU that this process and all that came from it use from now on.

    Processes that a library starts and lets go of become our children (subreaper), so none
    escapes; the living and the unburied are read from ``/proc``, to 10 ms each.
    """

    def __init__(self) -> None:
        adopt_orphans()
        self.at_first = self.now_s()

    def used_s(self) -> float:
        """Tell how many seconds were used since."""
        return self.now_s() - self.at_first

    def now_s(self) -> float:
        """Add up: this process to the microsecond, the buried, and the others."""
        total = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            total += usage.ru_utime + usage.ru_stime
        return total + sum(cpu_s(fields) for fields in descendants(os.getpid()).values())


def adopt_orphans() -> None:
    """Become the parent of processes further down whose own parent ends."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> dict[int, list[str]]:
    """Answer each process that came from one: its id, its ``/proc/PID/stat`` from state on."""
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # It ended meanwhile.
            stats[int(entry.name)] = stat.rpartition(")")[2].split()
    known, found = {pid}, {pid}
    while found:
        found = {each for each, fields in stats.items() if int(fields[1]) in known} - known
        known |= found
    return {each: stats[each] for each in known - {pid}}


def cpu_s(fields: list[str]) -> float:
    """Sum user and system time, its own and its buried children's (fields 14 to 17 of stat)."""
    return sum(int(field) for field in fields[11:15]) / TICKS


def main(works: dict[str, Callable[[Path], Any]], cannot: dict[str, str] | None = None) -> None:
    """Do the work that the command line names and print what came of it."""
    answers = os.dup(1)
    os.dup2(2, 1)
    work, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if work in works:
        found = works[work](folder)
    else:
        found = {"cannot": (cannot or {}).get(work, "it has no such thing")}
    if work == "whole":
        status = Path("/proc/self/status").read_text()
        # Not ru_maxrss, which a process inherits from the one that started it.
        peak_kb = int(status.partition("VmHWM:")[2].split()[0])
        found = {**(found or {}), "mb": peak_kb / 1024}
    os.write(answers, (json.dumps(found) + "\n").encode())
