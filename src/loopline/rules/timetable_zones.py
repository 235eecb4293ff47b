"""Time zones, and how wall-clock times become instants on the days clocks are changed.

A wall-clock time that occurs twice (clocks set back) means the first time; one that does not
occur (clocks set forward) comes later by what was skipped, as PEP 495 reads such times: 02:30
becomes 03:30. ``zoneinfo`` reads the time-zone tables: constant data, cached for the life of the
process.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DAY",
    "LONGEST_SHIFT",
    "MICROSECOND",
    "earliest_wall",
    "find_zone",
    "is_set_back",
    "offset_at",
    "on_wall_clock",
    "parse_time",
    "reaches",
]

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)

#: No change of the clocks of any zone is longer than a day (Samoa left out 2011-12-30).
LONGEST_SHIFT = timedelta(hours=26)


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time with offset.

    Raises:
        InvalidInputError: When it is none, or has no offset.
    """
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None:
        msg = f"{text!r} is no ISO 8601 time with offset. Write it as 2022-03-01T06:00:00+00:00."
        raise InvalidInputError(msg)
    return at


@lru_cache(maxsize=256)
def find_zone(name: str) -> tzinfo:
    """Find a time zone by its IANA name, or by a fixed offset such as ``UTC+02:00``.

    Raises:
        InvalidInputError: When there is none, or the machine has no time-zone tables.
    """
    if name in {"", "UTC"}:
        return UTC
    try:
        if name.startswith(("UTC+", "UTC-")):
            offset = datetime.strptime(name[3:], "%z").utcoffset()
            return timezone(offset or timedelta(0), name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = (
            f"No time zone {name!r}. Use an IANA name such as 'America/New_York'; on a machine "
            "without time-zone tables install them with: pip install tzdata"
        )
        raise InvalidInputError(msg) from None


def offset_at(zone: tzinfo, at: datetime) -> timedelta:
    """Give the zone's offset from UTC at an instant."""
    return at.astimezone(zone).utcoffset() or timedelta(0)


def is_set_back(zone: tzinfo, at: datetime) -> bool:
    """Whether the clocks are set back soon after an instant, so that wall-clock times recur."""
    later = at + min(LONGEST_SHIFT, datetime.max.replace(tzinfo=UTC) - at - DAY)
    return offset_at(zone, later) < offset_at(zone, at)


def earliest_wall(zone: tzinfo, after: datetime) -> datetime:
    """Give a wall-clock time at or before each one that fires after an instant.

    Right after clocks were set forward, skipped times are still to come: on the clock as it was.
    """
    before = after - min(LONGEST_SHIFT, after - datetime.min.replace(tzinfo=UTC))
    offsets = [offset_at(zone, after), offset_at(zone, before)]
    return after.replace(tzinfo=None) + min(offsets)


def reaches(zone: tzinfo, wall: datetime) -> datetime:
    """Give an instant, in UTC, at or before which the wall clock does not reach ``wall`` yet."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return min(first, second)  # The second is the earlier one for skipped times.


def on_wall_clock(walls: Iterator[datetime], zone: tzinfo) -> Iterator[datetime]:
    """Turn rising wall-clock times into rising instants, each time once.

    A skipped time is held back until nothing earlier can follow: after 02:30, which fires at
    03:30, comes 03:00, which fires at 03:00.
    """
    waiting: list[datetime] = []
    for wall in walls:
        first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        heapq.heappush(waiting, first)
        nothing_before = reaches(zone, wall)
        while waiting and waiting[0] <= nothing_before:
            yield heapq.heappop(waiting)
    while waiting:
        yield heapq.heappop(waiting)
