"""Times, sizes and numbers in words that people read at a glance."""

from __future__ import annotations

import math
from datetime import UTC, datetime

__all__ = [
    "clock_words",
    "count_words",
    "distance_words",
    "duration_words",
    "number_words",
    "size_words",
    "task_words",
    "time_words",
]

_STEPS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SIZES = ("kB", "MB", "GB", "TB")
_KILO = 1_000

#: What a calendar of Python's can say; a clock may be set to anything.
_YEAR_9999_MS = 253_370_764_800_000

#: Milliseconds under which a distance in time is "just now".
_NOW_MS = 1_500


def task_words(slug: str, map_index: int = -1, name: str = "") -> str:
    """Name a task run: "train-1", or "train-1[7]" for an element of a mapped task.

    Its own name, where it has one, follows: "train-1[7] (train march)".
    """
    place = slug if map_index < 0 else f"{slug}[{map_index}]"
    return f"{place} ({name})" if name else place


def duration_words(duration_ms: float | None) -> str:
    """Say how long something took: "350 ms", "4.2 s", "3 m 20 s", "2 h 5 m"; empty for None."""
    if duration_ms is None:
        return ""
    if duration_ms < 1_000:  # noqa: PLR2004 - a second
        return f"{max(0, round(duration_ms))} ms"
    seconds = duration_ms / 1_000
    if seconds < 9.95:  # noqa: PLR2004 - above, a tenth of a second is noise
        return f"{seconds:.1f} s"
    return _largest_two(round(seconds))


def distance_words(at_ms: int | None, now_ms: int) -> str:
    """Say how far a time is from now: "3 m ago", "in 2 h", "just now"; empty for None or 0."""
    if not at_ms:
        return ""
    distance_ms = now_ms - at_ms
    if abs(distance_ms) < _NOW_MS:
        return "just now"
    seconds = round(abs(distance_ms) / 1_000)
    unit, length = next((step for step in _STEPS if seconds >= step[1]), _STEPS[-1])
    said = f"{seconds // length} {unit}"
    return f"{said} ago" if distance_ms > 0 else f"in {said}"


def time_words(at_ms: int | None) -> str:
    """Write a time down in UTC: "2023-02-01 04:30:00 UTC"; empty for None or 0."""
    if not at_ms:
        return ""
    if not 0 < at_ms < _YEAR_9999_MS:
        return f"{at_ms} ms"
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock_words(at_ms: int) -> str:
    """Write the time of day in UTC: "04:30:00.125", as a log has it."""
    if not 0 < at_ms < _YEAR_9999_MS:
        return f"{at_ms} ms"
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%H:%M:%S.%f")[:-3]


def size_words(size_bytes: int) -> str:
    """Say a size: "512 bytes", "1.4 MB"."""
    if size_bytes < _KILO:
        return "1 byte" if size_bytes == 1 else f"{size_bytes} bytes"
    step = min(int(math.log(size_bytes, _KILO) + 1e-9), len(_SIZES))
    size, unit = size_bytes / _KILO**step, _SIZES[step - 1]
    return f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"  # noqa: PLR2004


def number_words(value: float) -> str:
    """Write a number with five digits that count: "0.45612", "1.2346e-07", "NaN"."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004 - integers that floats hold
        return str(int(value))
    return f"{value:.5g}"


def count_words(count: int, noun: str, plural: str = "") -> str:
    """Count a noun: "1 run", "3 runs", "12,000 runs"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _largest_two(seconds: int) -> str:
    for index, (unit, length) in enumerate(_STEPS):
        if seconds >= length:
            said = f"{seconds // length} {unit}"
            rest = seconds % length
            if index + 1 < len(_STEPS):
                smaller, short = _STEPS[index + 1]
                if rest // short:
                    said += f" {rest // short} {smaller}"
            return said
    return "0 s"
