"""Values of a column as a profile shows them: numbers, ISO times, and text cut where it shows."""

from __future__ import annotations

import math

__all__ = ["MOST_TEXT", "cut", "finite", "time_text"]

#: Characters of a value that a profile shows.
MOST_TEXT = 80

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: Seconds that ``datetime`` can say: the years 1 to 9999.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799


def cut(text: str, most: int = MOST_TEXT) -> str:
    """Cut a text where everybody sees it: the last character is ``…``."""
    clean = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def finite(value: float) -> float | None:
    """Give a number that JSON can say, or None."""
    return value if math.isfinite(value) else None


def time_text(ticks: float, unit: str, kind: str) -> str:
    """Write a time as ISO 8601 says it: ``2022-01-31T08:15:00``.

    Args:
        ticks: Since 1970 (``timestamp``, ``date``), since midnight (``time``), or of a duration.
        unit: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``, or ``"D"`` for a date.
        kind: ``"timestamp"``, ``"date"``, ``"time"`` or ``"duration"``.
    """
    from datetime import UTC, date, datetime, timedelta

    whole = round(ticks)
    if kind == "date":
        days = whole + date(1970, 1, 1).toordinal()
        return (
            date.fromordinal(days).isoformat() if 0 < days <= date.max.toordinal() else str(whole)
        )
    seconds, rest = divmod(whole, _PER_SECOND[unit])
    micros = rest * 10**6 // _PER_SECOND[unit]
    if kind == "duration":
        return f"{seconds + micros / 10**6:g} s"
    if not _FIRST_S <= seconds <= _LAST_S:
        return f"{whole} {unit}"
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micros)
    plain = moment.replace(tzinfo=None)
    return plain.time().isoformat() if kind == "time" else plain.isoformat()
