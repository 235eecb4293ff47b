"""Clocks: the instants at which one fires, before any filter.

Two kinds of time are kept apart. An interval below a day is absolute: its times lie on a grid of
instants, and a change of the clocks does not move them. A cron expression, a recurrence rule, and
an interval of a day or more follow the wall clock of a time zone.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.schedules import CronClock, DatesClock, IntervalClock, OwnClock
from loopline.rules.timetable_cron import parse_cron
from loopline.rules.timetable_rrules import rule_walls
from loopline.rules.timetable_zones import (
    DAY,
    MICROSECOND,
    earliest_wall,
    find_zone,
    on_wall_clock,
    parse_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loopline.records.schedules import Clock, RecurrenceRule, RRuleClock

__all__ = ["clock_instants"]


def clock_instants(
    clock: Clock, after: datetime, own: Mapping[str, Callable[..., Any]]
) -> Iterator[datetime]:
    """Yield the instants, in UTC, of one clock after an instant, between its start and its end.

    Raises:
        InvalidInputError: What the clock says is wrong.
    """
    if clock.start:
        after = max(after, parse_time(clock.start).astimezone(UTC) - MICROSECOND)
    end = parse_time(clock.end).astimezone(UTC) if clock.end else None
    previous = after
    try:
        for at in _instants(clock, after, own):
            if end is not None and at > end:
                return
            if at > previous:  # Two wall-clock times may be one instant after a skipped hour.
                yield at
                previous = at
    except OverflowError:  # The year 9999 is over.
        return


def _instants(
    clock: Clock, after: datetime, own: Mapping[str, Callable[..., Any]]
) -> Iterator[datetime]:
    if isinstance(clock, IntervalClock):
        return _interval_instants(clock, after)
    if isinstance(clock, CronClock):
        zone = find_zone(clock.timezone)
        walls = parse_cron(clock.cron, earliest_wall(zone, after), day_or=clock.day_or)
        return on_wall_clock(walls, zone)
    if isinstance(clock, DatesClock):
        find_zone(clock.timezone)
        if not clock.dates:
            msg = "A clock with dates needs one at least, such as datetime(2022, 3, 1)."
            raise InvalidInputError(msg)
        return iter(_sorted(clock.dates))
    if isinstance(clock, OwnClock):
        if clock.own not in own:
            msg = f"The clock {clock.name!r} is the user's own: only workers have its code."
            raise InvalidInputError(msg)
        return iter(own[clock.own](after))
    return _rrule_instants(clock, after)


def _sorted(dates: list[str]) -> list[datetime]:
    return sorted({parse_time(date).astimezone(UTC) for date in dates})


def _interval_instants(clock: IntervalClock, after: datetime) -> Iterator[datetime]:
    interval = _interval(clock)
    anchor = parse_time(clock.anchor)
    if interval < DAY:
        at = anchor.astimezone(UTC)
        at += ((after - at) // interval + 1) * interval
        return _count_up(at, interval)
    zone = find_zone(clock.timezone)
    wall = anchor.astimezone(zone).replace(tzinfo=None)
    wall += ((earliest_wall(zone, after) - wall) // interval + 1) * interval
    return on_wall_clock(_count_up(wall, interval), zone)


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


def _count_up(at: datetime, interval: timedelta) -> Iterator[datetime]:
    while True:
        yield at
        at += interval


def _rrule_instants(clock: RRuleClock, after: datetime) -> Iterator[datetime]:
    if not clock.rules and not clock.dates:
        msg = "A clock with recurrence rules needs a rule or a date."
        raise InvalidInputError(msg)
    find_zone(clock.timezone)
    excepted = _Excepted(
        [_rule_instants(rule, after) for rule in clock.except_rules], _sorted(clock.except_dates)
    )
    rules = [_rule_instants(rule, after) for rule in clock.rules]
    for at in heapq.merge(*rules, iter(_sorted(clock.dates))):
        if not excepted.has(at):
            yield at


def _rule_instants(rule: RecurrenceRule, after: datetime) -> Iterator[datetime]:
    zone = find_zone(rule.timezone)
    return on_wall_clock(rule_walls(rule.text, earliest_wall(zone, after)), zone)


class _Excepted:
    """Rising instants that are asked for in rising order."""

    def __init__(self, rules: list[Iterator[datetime]], dates: list[datetime]) -> None:
        self._instants = heapq.merge(*rules, dates)
        self._next: datetime | None = next(self._instants, None)

    def has(self, at: datetime) -> bool:
        while self._next is not None and self._next < at:
            self._next = next(self._instants, None)
        return self._next == at
