"""Recurrence rules of iCalendar (RFC 5545), read as ``dateutil`` reads them.

Written out here because a server has no ``dateutil``, which also searches 8,000 years for a rule
that never fires, and counts from a rule's beginning at each look. Here a look costs what lies
between it and the answer, and ends when nothing fires for 45 years: 29 February falls on a
certain weekday every 40 years at the latest.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_COUNTED", "rule_walls"]

#: ``COUNT=`` of a rule may be so much: all of them are gone through at each look.
MOST_COUNTED = 100_000

_DAY = timedelta(days=1)
#: Days and times of day that are looked at without one that fires, before it is known for never.
_MOST_DAYS, _MOST_TIMES = 45 * 366, 1_000_000

_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
_YEARLY, _MONTHLY, _WEEKLY, _DAILY, _HOURLY, _MINUTELY, _SECONDLY = range(7)
_UNIT_S = {_HOURLY: 3600, _MINUTELY: 60, _SECONDLY: 1}
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: The lists of a rule, with the least and the greatest number.
_LISTS = {
    "BYSETPOS": (-366, 366), "BYMONTH": (1, 12), "BYMONTHDAY": (-31, 31), "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53), "BYHOUR": (0, 23), "BYMINUTE": (0, 59), "BYSECOND": (0, 59),
    "BYEASTER": (-366, 366),
}  # fmt: skip


class _Rule(NamedTuple):
    """A parsed rule; an empty set is no condition."""

    start: datetime
    frequency: int
    interval: int
    most: int | None
    until: datetime | None
    week_start: int
    numbers: dict[str, frozenset[int]]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]


def rule_walls(text: str, after: datetime) -> Iterator[datetime]:
    """Yield the wall-clock times of a rule after a wall-clock time.

    Args:
        text: ``DTSTART:20220301T060000``, a line break, and ``RRULE:FREQ=DAILY``.
        after: Naive time.

    Raises:
        InvalidInputError: It is no rule, or counts too far.
    """
    rule = _parse(text)
    left = rule.most
    since = None if left is not None else after
    for wall in _fires(rule, since):
        if rule.until is not None and wall > rule.until:
            return
        if left is not None:
            if left < 1:
                return
            left -= 1
        if wall > after:
            yield wall


def _fires(rule: _Rule, after: datetime | None) -> Iterator[datetime]:
    """Yield what a rule gives from its start on, at least all that is later than ``after``."""
    for wall in _chosen(rule, after) if rule.numbers["BYSETPOS"] else _candidates(rule, after):
        if wall >= rule.start:
            yield wall


def _chosen(rule: _Rule, after: datetime | None) -> Iterator[datetime]:
    """Choose of the times of each period those in the places that ``BYSETPOS`` names."""
    for _, group in groupby(
        _candidates(rule, after, whole=True), key=lambda wall: _period(rule, wall)
    ):
        times = list(group)
        places = {at - 1 if at > 0 else len(times) + at for at in rule.numbers["BYSETPOS"]}
        yield from (times[at] for at in sorted(places) if 0 <= at < len(times))


def _candidates(rule: _Rule, after: datetime | None, *, whole: bool = False) -> Iterator[datetime]:
    """Yield the times that the other parts of a rule let pass, of whole periods when asked to."""
    first = rule.start.date() if rule.frequency >= _WEEKLY else rule.start.date().replace(day=1)
    if rule.frequency == _YEARLY:
        first = first.replace(month=1)
    if after is not None:
        day = after.date()
        first = max(first, _period_start(rule, day) if whole else day)
    spent = _Spent()
    floor = None if whole else after
    for ordinal in range(first.toordinal(), date.max.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if not spent.day():
            return
        if _has_day(rule, day):
            for wall in _times(rule, day, floor, spent):
                spent.reset()
                yield wall


class _Spent:
    """How much was looked at since something fired."""

    def __init__(self) -> None:
        self.days = self.times = 0

    def reset(self) -> None:
        self.days = self.times = 0

    def day(self) -> bool:
        self.days += 1
        return self.days <= _MOST_DAYS and self.times <= _MOST_TIMES


def _period(rule: _Rule, wall: datetime) -> Any:  # noqa: ANN401 - a key
    if rule.frequency < _DAILY:
        return _period_start(rule, wall.date())
    places = {_DAILY: 3, _HOURLY: 4, _MINUTELY: 5, _SECONDLY: 6}[rule.frequency]
    return wall.timetuple()[:places]


def _period_start(rule: _Rule, day: date) -> date:
    if rule.frequency == _YEARLY:
        return date(day.year, 1, 1)
    if rule.frequency == _MONTHLY:
        return day.replace(day=1)
    if rule.frequency == _WEEKLY:
        return max(_week(rule, day), rule.start.date())
    return day


def _week(rule: _Rule, day: date) -> date:
    back = (day.weekday() - rule.week_start) % 7
    return day - min(back, day.toordinal() - 1) * _DAY


def _has_day(rule: _Rule, day: date) -> bool:
    start = rule.start.date()
    numbers = rule.numbers
    if numbers["BYMONTH"] and day.month not in numbers["BYMONTH"]:
        return False
    if rule.weekdays and day.weekday() not in rule.weekdays:
        return False
    if rule.frequency == _DAILY:
        apart = (day - start).days
    elif rule.frequency == _WEEKLY:
        apart = (_week(rule, day) - _week(rule, start)).days // 7
    elif rule.frequency == _MONTHLY:
        apart = (day.year - start.year) * 12 + day.month - start.month
    else:
        apart = day.year - start.year if rule.frequency == _YEARLY else 0
    if apart % rule.interval:
        return False
    length = 366 if isleap(day.year) else 365
    month_length = monthrange(day.year, day.month)[1]
    ordinal = day.timetuple().tm_yday
    return (
        _either(numbers["BYMONTHDAY"], day.day, month_length)
        and _either(numbers["BYYEARDAY"], ordinal, length)
        and (not numbers["BYWEEKNO"] or _has_week(rule, day))
        and (not numbers["BYEASTER"] or (day - _easter(day.year)).days in numbers["BYEASTER"])
        and (not rule.nth_weekdays or _has_nth(rule, day, month_length, ordinal, length))
    )


def _either(wanted: frozenset[int], place: int, length: int) -> bool:
    """Whether a place, counted from the beginning or the end, is wanted."""
    return not wanted or place in wanted or place - length - 1 in wanted


def _has_week(rule: _Rule, day: date) -> bool:
    # The fourth day of a week says to which year it belongs.
    middle = _week(rule, day) + 3 * _DAY
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    last = date(middle.year, 12, 28)  # In the year's last week, wherever weeks begin.
    weeks = ((_week(rule, last) + 3 * _DAY).timetuple().tm_yday - 1) // 7 + 1
    return number in rule.numbers["BYWEEKNO"] or number - weeks - 1 in rule.numbers["BYWEEKNO"]


def _has_nth(rule: _Rule, day: date, month_length: int, ordinal: int, length: int) -> bool:
    in_month = rule.frequency == _MONTHLY or bool(rule.numbers["BYMONTH"])
    place, of = (day.day, month_length) if in_month else (ordinal, length)
    nth, last = (place - 1) // 7 + 1, -((of - place) // 7 + 1)
    weekday = day.weekday()
    return (weekday, nth) in rule.nth_weekdays or (weekday, last) in rule.nth_weekdays


def _times(rule: _Rule, day: date, after: datetime | None, spent: _Spent) -> Iterator[datetime]:
    """Yield the times of a day; those before the hour of ``after`` are passed over."""
    hours = sorted(rule.numbers["BYHOUR"]) or range(24)
    minutes = sorted(rule.numbers["BYMINUTE"]) or range(60)
    seconds = sorted(rule.numbers["BYSECOND"]) or range(60)
    from_hour = after.hour if after is not None and after.date() == day else 0
    for hour in hours:
        if hour < from_hour or not _on_grid(rule, _HOURLY, day, time(hour)):
            spent.times += 1
            continue
        for minute in minutes:
            if not _on_grid(rule, _MINUTELY, day, time(hour, minute)):
                spent.times += 1
                continue
            for second in seconds:
                at = time(hour, minute, second)
                if _on_grid(rule, _SECONDLY, day, at):
                    yield datetime.combine(day, at)
                else:
                    spent.times += 1


def _on_grid(rule: _Rule, frequency: int, day: date, at: time) -> bool:
    """Whether a time lies a multiple of the interval after the start, if that is what counts."""
    if rule.frequency != frequency or rule.interval == 1:
        return True
    seconds = (
        datetime.combine(day, at) - datetime.combine(rule.start.date(), time())
    ).days * 86_400
    seconds += at.hour * 3600 + at.minute * 60 + at.second
    begin = rule.start.hour * 3600 + rule.start.minute * 60 + rule.start.second
    unit_s = _UNIT_S[frequency]
    return (seconds // unit_s - begin // unit_s) % rule.interval == 0


def _easter(year: int) -> date:
    """Find Easter Sunday of a year (Gregorian).

    Source:
        The anonymous algorithm printed in Nature 13, 487 (1876).
    """
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


# --- reading --------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _parse(text: str) -> _Rule:
    try:
        return _read(text)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidInputError):
            raise
        msg = (
            f"{text!r} is no recurrence rule ({error}). Write it as "
            "'DTSTART:20220301T060000\\nRRULE:FREQ=DAILY;INTERVAL=2'."
        )
        raise InvalidInputError(msg) from None


def _read(text: str) -> _Rule:
    begin, line = text.strip().splitlines()
    start = _wall(begin.removeprefix("DTSTART:"))
    parts = dict(part.split("=") for part in line.strip().removeprefix("RRULE:").split(";"))
    frequency = _FREQUENCIES.index(parts.pop("FREQ"))
    interval = int(parts.pop("INTERVAL", "1"))
    count = int(parts.pop("COUNT")) if "COUNT" in parts else None
    until = _wall(parts.pop("UNTIL")) if "UNTIL" in parts else None
    week_start = _WEEKDAYS.index(parts.pop("WKST", "MO"))
    days = [_weekday(each) for each in parts.pop("BYDAY", "").split(",") if each]
    numbers = {name: _numbers(name, parts.pop(name, "")) for name in _LISTS}
    if parts:
        msg = f"unknown: {', '.join(parts)}"
        raise ValueError(msg)
    if interval < 1 or not 0 <= (count or 0) <= MOST_COUNTED:
        msg = f"INTERVAL must be 1 or more, and COUNT at most {MOST_COUNTED}"
        raise ValueError(msg)
    with_places = frequency <= _MONTHLY  # Elsewhere the number of a weekday says nothing.
    weekdays = {day for day, nth in days if not nth or not with_places}
    nth_weekdays = {(day, nth) for day, nth in days if nth and with_places}
    _fill(numbers, weekdays, start, frequency, has_days=bool(days))
    return _Rule(
        start, frequency, interval, count, until, week_start,
        {name: frozenset(found) for name, found in numbers.items()},
        frozenset(weekdays), frozenset(nth_weekdays),
    )  # fmt: skip


def _fill(
    numbers: dict[str, set[int]],
    weekdays: set[int],
    start: datetime,
    frequency: int,
    *,
    has_days: bool,
) -> None:
    """Take from the start what a rule does not say."""
    said = any(numbers[name] for name in ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYEASTER"))
    if not said and not has_days:
        if frequency == _YEARLY and not numbers["BYMONTH"]:
            numbers["BYMONTH"] = {start.month}
        if frequency <= _MONTHLY:
            numbers["BYMONTHDAY"] = {start.day}
        elif frequency == _WEEKLY:
            weekdays.add(start.weekday())
    for name, below, value in (
        ("BYHOUR", _HOURLY, start.hour),
        ("BYMINUTE", _MINUTELY, start.minute),
        ("BYSECOND", _SECONDLY, start.second),
    ):
        if not numbers[name] and frequency < below:
            numbers[name] = {value}


def _wall(text: str) -> datetime:
    at = datetime.strptime(text, "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007
    return at.replace(microsecond=0)


def _weekday(text: str) -> tuple[int, int]:
    """Read ``TU``, ``+1TU`` or ``-1FR`` as a weekday and its place, 0: every one."""
    return _WEEKDAYS.index(text[-2:]), int(text[:-2] or "0")


def _numbers(name: str, text: str) -> set[int]:
    found = {int(each) for each in text.split(",") if each}
    least, most = _LISTS[name]
    if any(not least <= each <= most for each in found):
        msg = f"{name}={text}: numbers from {least} to {most}"
        raise ValueError(msg)
    return found
