"""Schedules in words for people: "every 5 hours", "at 02:30 on weekdays, America/New_York"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.schedules import CronClock, DatesClock, IntervalClock, OwnClock
from loopline.rules.timetable_cron import explain_cron
from loopline.rules.timetable_zones import find_zone, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.schedules import Clock, RRuleClock, ScheduleFunction, ScheduleSpec

__all__ = ["describe"]

_DAY_S = 86_400
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MOST_DATES = 3
_CATCH_UP = {
    "all": "making up for all it missed",
    "none": "making up for nothing it missed",
}


def describe(spec: ScheduleSpec | None) -> str:
    """Say when a schedule fires; a schedule without clocks fires "never"."""
    if spec is None or not spec.clocks:
        return "never"
    words = " and ".join(_describe_clock(clock) for clock in spec.clocks)
    conditions = [_filter(each) for each in spec.filters]
    if spec.or_filters:
        conditions.append(" or ".join(_filter(each) for each in spec.or_filters))
    conditions += [f"not {_filter(each)}" for each in spec.not_filters]
    if conditions:
        words += f"; only {', '.join(conditions)}"
    if spec.adjustments:
        words += f"; then {', '.join(_adjustment(each) for each in spec.adjustments)}"
    if spec.jitter_s:
        words += f"; up to {_duration(spec.jitter_s)} later"
    if spec.catch_up in _CATCH_UP:
        words += f"; {_CATCH_UP[spec.catch_up]}"
    return words


def _describe_clock(clock: Clock) -> str:
    words = _clock_words(clock)
    # Dates say themselves when they begin and end.
    said = set(clock.dates) if isinstance(clock, DatesClock) else set()
    if (
        clock.start
        and clock.start not in said
        and parse_time(clock.start) > datetime(1970, 1, 2, tzinfo=UTC)
    ):
        words += f", from {_day_and_time(clock.start, clock.timezone)}"
    if clock.end and clock.end not in said:
        words += f", until {_day_and_time(clock.end, clock.timezone)}"
    if clock.labels:
        words += f", for workers with {', '.join(clock.labels)}"
    return words


def _clock_words(clock: Clock) -> str:
    if isinstance(clock, IntervalClock):
        return _describe_interval(clock)
    if isinstance(clock, CronClock):
        return _describe_cron(clock)
    if isinstance(clock, DatesClock):
        return f"{_dates(clock.dates, clock.timezone)}, {clock.timezone}"
    if isinstance(clock, OwnClock):
        return f"when {clock.name} says"
    return _describe_rules(clock)


def _describe_interval(clock: IntervalClock) -> str:
    seconds = clock.interval_s
    words = _every(seconds)
    if seconds % _DAY_S:
        return words
    at = parse_time(clock.anchor).astimezone(find_zone(clock.timezone))
    if timedelta(seconds=seconds) == timedelta(weeks=1):
        words += f" on {_WEEKDAYS[at.weekday()]}"
    return f"{words} at {_time_of_day(at)}, {clock.timezone}"


def _every(seconds: float) -> str:
    amount = _duration(seconds)
    return f"every {amount.removeprefix('1 ')}"


def _duration(seconds: float) -> str:
    for name, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"1 {name}" if count == 1 else f"{count} {name}s"
    return f"{seconds:g} seconds"


def _describe_cron(clock: CronClock) -> str:
    try:
        words, days_both = explain_cron(clock.cron, day_or=clock.day_or)
    except InvalidInputError:
        return f"cron {clock.cron!r} (not valid)"
    words = words[:1].lower() + words[1:]
    words = words.replace("on Monday through Friday", "on weekdays")
    # The words are Debian's, where a step counts as a star.
    if days_both:
        words = words.replace(" of month and on ", " of month if it's on ")
    else:
        words = words.replace(" of month if it's on ", " of month and on ")
    return f"{words}, {clock.timezone}"


def _describe_rules(clock: RRuleClock) -> str:
    parts = [f"by the rule {_rule(each.text)}, {each.timezone}" for each in clock.rules]
    if clock.dates:
        parts.append(f"{_dates(clock.dates, clock.timezone)}, {clock.timezone}")
    words = " and ".join(parts)
    without = [f"by the rule {_rule(each.text)}" for each in clock.except_rules]
    if clock.except_dates:
        without.append(_dates(clock.except_dates, clock.timezone))
    return words + (f" except {' and '.join(without)}" if without else "")


def _rule(text: str) -> str:
    """Keep of a rule what says when: the line after its beginning."""
    return text.splitlines()[-1].removeprefix("RRULE:")


def _dates(dates: list[str], zone: str) -> str:
    first = sorted(dates, key=parse_time)[:_MOST_DATES]
    words = ", ".join(_day_and_time(date, zone) for date in first)
    more = len(dates) - len(first)
    return f"on {words}" + (f" and {more} more" if more > 0 else "")


def _adjustment(function: ScheduleFunction) -> str:
    if function.own:
        return f"as {function.name} moves it"
    if function.name == "add":
        seconds = float(function.arguments.get("seconds", 0))
        return f"{_duration(abs(seconds))} {'later' if seconds >= 0 else 'earlier'}"
    return "on the next weekday"


def _filter(function: ScheduleFunction) -> str:
    if function.own:
        return f"when {function.name} says so"
    words = _FILTERS.get(function.name)
    return words(**function.arguments) if words else function.name


def _any_zone(text: str) -> str:
    return f"{parse_time(text):%Y-%m-%d %H:%M %Z}"


def _short(text: str) -> str:
    return text.removesuffix(":00") if len(text) == len("09:00:00") else text


def _day_of_year(month: int, day: int) -> str:
    return f"{day} {_MONTHS[month - 1]}"


_FILTERS: dict[str, Callable[..., Any]] = {
    "at_time": lambda t: f"at {_short(t)}",
    "between_dates": lambda start_month, start_day, end_month, end_day: (
        f"from {_day_of_year(start_month, start_day)} to {_day_of_year(end_month, end_day)}"
    ),
    "between_datetimes": lambda start, end: f"from {_any_zone(start)} to {_any_zone(end)}",
    "between_times": lambda start, end: f"from {_short(start)} to {_short(end)}",
    "is_day_of_week": lambda day_of_week: f"on {_WEEKDAYS[day_of_week]}s",
    "is_month_end": lambda: "on the last day of the month",
    "is_month_start": lambda: "on the first day of the month",
    "is_weekday": lambda: "on weekdays",
    "is_weekend": lambda: "on weekends",
    "on_date": lambda month, day: f"on {_day_of_year(month, day)}",
    "on_datetime": lambda dt: f"at {_any_zone(dt)}",
}


def _day_and_time(text: str, zone: str) -> str:
    at = parse_time(text).astimezone(find_zone(zone))
    return f"{at:%Y-%m-%d} {_time_of_day(at)}"


def _time_of_day(at: datetime) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
