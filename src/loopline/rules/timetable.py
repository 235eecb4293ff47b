"""The timetable: when a schedule fires, across time zones and the days clocks are changed.

Two kinds of time are kept apart. An interval below a day is absolute: its times lie on a grid of
instants, and a change of the clocks does not move them. A cron expression, and an interval of
whole days, follow the wall clock of a time zone: each wall-clock time fires once. One that
occurs twice (clocks set back) fires the first time; one that does not occur (clocks set forward)
fires later by what was skipped, as PEP 495 reads such times: 02:30 becomes 03:30.

``zoneinfo`` and ``cronsim`` are the only helpers: the first reads the time-zone tables (constant
data, cached for the life of the process), the second is pure computing.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from loopline.errors import InvalidInputError
from loopline.records.base import Record
from loopline.records.flows import IntervalClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.records.flows import CronClock, ScheduleSpec

__all__ = ["SHORTHANDS", "ScheduledTime", "check_schedule", "find_zone", "next_times", "parse_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

#: No change of the clocks of any zone is longer than a day (Samoa left out 2011-12-30).
_LONGEST_SHIFT = timedelta(hours=26)

#: Shorthands that cron implementations share.
SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (last day) or LW (last weekday)",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 (0 and 7 are Sunday) or SUN-SAT",
}


class ScheduledTime(Record, frozen=True, kw_only=True):
    """One time at which a schedule fires.

    Attributes:
        at: The instant, in UTC.
        parameters: Values for the flow's parameters, from the clock that fires.
    """

    at: datetime
    parameters: dict[str, Any]


def next_times(spec: ScheduleSpec, after: datetime, count: int) -> list[ScheduledTime]:
    """Compute the next times of a schedule, in order.

    Where several clocks fire at one instant it counts once, with the parameters of the clock
    that stands first: a flow has one run for each due time.

    Args:
        spec: The schedule.
        after: Aware time; every answer is later than this.
        count: How many at most; fewer come back when the schedule ends.

    Raises:
        InvalidInputError: For a naive ``after``, a bad cron expression, interval, time or zone.
    """
    if after.tzinfo is None:
        msg = f"{after!r} has no time zone. Give one, such as after.replace(tzinfo=UTC)."
        raise InvalidInputError(msg)
    streams = [_clock_times(clock, after.astimezone(UTC)) for clock in spec.clocks]
    return list(islice(_distinct(heapq.merge(*streams, key=_instant)), max(count, 0)))


def check_schedule(spec: ScheduleSpec) -> None:
    """Refuse a schedule that can never be computed.

    Raises:
        InvalidInputError: Naming the clock's field that is wrong and what would be right.
    """
    next_times(spec, _EPOCH, 1)


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time with offset.

    Raises:
        InvalidInputError: When it is none, or has no offset.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
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


def _instant(time: ScheduledTime) -> datetime:
    return time.at


def _distinct(times: Iterator[ScheduledTime]) -> Iterator[ScheduledTime]:
    """Keep the first of the times that share an instant."""
    previous = None
    for time in times:
        if time.at != previous:
            yield time
        previous = time.at


def _clock_times(clock: IntervalClock | CronClock, after: datetime) -> Iterator[ScheduledTime]:
    """Yield the times of one clock after an instant, between its start and its end."""
    if clock.start:
        after = max(after, parse_time(clock.start).astimezone(UTC) - _MICROSECOND)
    end = parse_time(clock.end).astimezone(UTC) if clock.end else None
    instants = (
        _interval_instants(clock, after)
        if isinstance(clock, IntervalClock)
        else _cron_instants(clock, after)
    )
    previous = after
    try:
        for at in instants:
            if end is not None and at > end:
                return
            if at > previous:  # Two wall-clock times may be one instant after a skipped hour.
                yield ScheduledTime(at=at, parameters=clock.parameters)
                previous = at
    except OverflowError:  # The year 9999 is over.
        return


def _interval_instants(clock: IntervalClock, after: datetime) -> Iterator[datetime]:
    interval = _interval(clock)
    anchor = parse_time(clock.anchor)
    if interval % _DAY:
        at = anchor.astimezone(UTC)
        at += ((after - at) // interval + 1) * interval
        while True:
            yield at
            at += interval
    zone = find_zone(clock.timezone)
    wall = anchor.astimezone(zone).replace(tzinfo=None)
    wall += ((_earliest_wall(zone, after) - wall) // interval + 1) * interval
    yield from _on_wall_clock(_count_up(wall, interval), zone)


def _interval(clock: IntervalClock) -> timedelta:
    try:
        interval = timedelta(seconds=clock.interval_s)
    except (OverflowError, ValueError):
        interval = timedelta(0)
    if interval <= timedelta(0):
        msg = (
            f"An interval must be greater than 0, not {clock.interval_s:g} s. "
            "Give one such as timedelta(hours=5)."
        )
        raise InvalidInputError(msg)
    return interval


def _count_up(wall: datetime, interval: timedelta) -> Iterator[datetime]:
    while True:
        yield wall
        wall += interval


def _cron_instants(clock: CronClock, after: datetime) -> Iterator[datetime]:
    zone = find_zone(clock.timezone)
    walls = _parse_cron(clock.cron, _earliest_wall(zone, after))
    yield from _on_wall_clock(walls, zone)


def _parse_cron(cron: str, wall: datetime) -> CronSim:
    """Make the iterator over the wall-clock times of a cron expression after ``wall``."""
    fields = SHORTHANDS.get(cron.strip().lower(), cron).split()
    if len(fields) != len(_FIELDS):
        msg = (
            f"Cron {cron!r} has {len(fields)} fields instead of 5 (minute, hour, day of month, "
            "month, day of week). Write it as in '30 2 * * 1-5', 02:30 on weekdays."
        )
        raise InvalidInputError(msg)
    try:
        return CronSim(" ".join(fields), wall)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        field = dict(zip(_FIELDS, fields, strict=True)).get(name, cron)
        msg = (
            f"The {name} field {field!r} of cron {cron!r} is wrong. "
            f"Use {_FIELDS.get(name, 'numbers')}, with ranges 1-5, lists 1,3 and steps */15."
        )
        raise InvalidInputError(msg) from None


def _earliest_wall(zone: tzinfo, after: datetime) -> datetime:
    """Give a wall-clock time at or before each one that fires after an instant.

    Right after clocks were set forward, skipped times are still to come: on the clock as it was.
    """
    before = after - min(_LONGEST_SHIFT, after - datetime.min.replace(tzinfo=UTC))
    offsets = [_offset(zone, after), _offset(zone, before)]
    return after.replace(tzinfo=None) + min(offsets)


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _on_wall_clock(walls: Iterator[datetime], zone: tzinfo) -> Iterator[datetime]:
    """Turn rising wall-clock times into rising instants, each time once.

    A skipped time is held back until nothing earlier can follow: after 02:30, which fires at
    03:30, comes 03:00, which fires at 03:00.
    """
    waiting: list[datetime] = []
    for wall in walls:
        first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
        heapq.heappush(waiting, first)
        nothing_before = min(first, second)  # The second is the earlier one for skipped times.
        while waiting and waiting[0] <= nothing_before:
            yield heapq.heappop(waiting)
    while waiting:
        yield heapq.heappop(waiting)
