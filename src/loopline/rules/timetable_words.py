"""Schedules in words for people: "every 5 hours", "at 02:30 on weekdays, America/New_York"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from loopline.records.flows import IntervalClock
from loopline.rules.timetable import SHORTHANDS, find_zone, parse_time

if TYPE_CHECKING:
    from loopline.records.flows import CronClock, ScheduleSpec

__all__ = ["describe"]

_DAY_S = 86_400
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def describe(spec: ScheduleSpec | None) -> str:
    """Say when a schedule fires; a schedule without clocks fires "never"."""
    if spec is None or not spec.clocks:
        return "never"
    return " and ".join(_describe_clock(clock) for clock in spec.clocks)


def _describe_clock(clock: IntervalClock | CronClock) -> str:
    words = _describe_interval(clock) if isinstance(clock, IntervalClock) else _describe_cron(clock)
    if clock.start and parse_time(clock.start) > datetime(1970, 1, 2, tzinfo=UTC):
        words += f", from {_day_and_time(clock.start, clock.timezone)}"
    if clock.end:
        words += f", until {_day_and_time(clock.end, clock.timezone)}"
    return words


def _describe_interval(clock: IntervalClock) -> str:
    seconds = clock.interval_s
    words = f"every {seconds:g} seconds"
    for name, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            words = f"every {name}" if count == 1 else f"every {count} {name}s"
            break
    if seconds % _DAY_S:
        return words
    at = parse_time(clock.anchor).astimezone(find_zone(clock.timezone))
    if timedelta(seconds=seconds) == timedelta(weeks=1):
        words += f" on {_WEEKDAYS[at.weekday()]}"
    return f"{words} at {_time_of_day(at)}, {clock.timezone}"


def _describe_cron(clock: CronClock) -> str:
    cron = SHORTHANDS.get(clock.cron.strip().lower(), clock.cron)
    try:
        words = CronSim(cron, datetime(2019, 1, 1)).explain()  # noqa: DTZ001 - any time will do
    except CronSimError:
        return f"cron {clock.cron!r} (not valid)"
    words = words[:1].lower() + words[1:]
    words = words.replace("on Monday through Friday", "on weekdays")
    return f"{words}, {clock.timezone}"


def _day_and_time(text: str, zone: str) -> str:
    at = parse_time(text).astimezone(find_zone(zone))
    return f"{at:%Y-%m-%d} {_time_of_day(at)}"


def _time_of_day(at: datetime) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
