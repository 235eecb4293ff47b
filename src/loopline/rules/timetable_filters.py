"""Filters of schedules: which times of the clocks count.

A filter of ours is data, so any machine can compute it, and it knows from when on it may say
something else. Searching jumps there instead of asking about every minute: 25 December at nine
is found in a few steps, and a schedule that never fires is known for what it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError
from loopline.rules.timetable_zones import DAY, parse_time, reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.records.schedules import ScheduleFunction, ScheduleSpec

__all__ = ["NEVER", "Filters", "compile_filters"]

#: No time at all.
NEVER = datetime.max.replace(tzinfo=UTC)

#: Each date of the calendar comes again within so many days.
_LEAP_DAYS = 8 * 366 + 2


class _Filter(NamedTuple):
    """What lets a time pass.

    Attributes:
        passes: Takes the time in its clock's time zone.
        opens: Of a time that does not pass: an instant before which none does; None: unknown.
        closes: Of a time that passes: an instant before which all do; None: unknown.
    """

    passes: Callable[[datetime], Any]
    opens: Callable[[datetime], datetime] | None = None
    closes: Callable[[datetime], datetime] | None = None


class Filters(NamedTuple):
    """All filters of a schedule: every one of ``all``, one of ``any``, and none of ``none``."""

    all: list[_Filter]
    any: list[_Filter]
    none: list[_Filter]

    @property
    def are_known(self) -> bool:
        """Whether all of them know from when on they say something else."""
        return all(each.opens for each in [*self.all, *self.any, *self.none])

    def pass_(self, at: datetime) -> bool:
        """Whether a time passes, in its clock's time zone."""
        return (
            all(each.passes(at) for each in self.all)
            and (not self.any or any(each.passes(at) for each in self.any))
            and not any(each.passes(at) for each in self.none)
        )

    def reopen(self, at: datetime) -> datetime:
        """Of a time that does not pass, give an instant before which none does."""
        bounds = [at]
        bounds += [each.opens(at) for each in self.all if each.opens and not each.passes(at)]
        bounds += [each.closes(at) for each in self.none if each.closes and each.passes(at)]
        if self.any and not any(each.passes(at) for each in self.any):
            bounds.append(min(each.opens(at) if each.opens else at for each in self.any))
        return max(bounds)


def compile_filters(spec: ScheduleSpec, own: Mapping[str, Callable[..., Any]]) -> Filters:
    """Make the filters of a schedule.

    Args:
        spec: The schedule.
        own: The user's own functions, by where the schedule has them.

    Raises:
        InvalidInputError: A filter is unknown or its arguments are wrong.
    """
    return Filters(
        *(
            [_compile(function, own) for function in functions]
            for functions in (spec.filters, spec.or_filters, spec.not_filters)
        )
    )


def _compile(function: ScheduleFunction, own: Mapping[str, Callable[..., Any]]) -> _Filter:
    if function.own:
        if function.own not in own:
            msg = f"The filter {function.name!r} is the user's own: only workers have its code."
            raise InvalidInputError(msg)
        return _Filter(own[function.own])
    make = _MAKERS.get(function.name)
    if make is None:
        msg = f"No filter {function.name!r}. There are: {', '.join(sorted(_MAKERS))}."
        raise InvalidInputError(msg)
    try:
        return make(**function.arguments)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"The filter {function.name!r} has wrong arguments: {error}"
        raise InvalidInputError(msg) from None


def _instant(wall: datetime, at: datetime) -> datetime:
    """Give an instant before the wall clock of ``at``'s zone reaches ``wall``."""
    zone = at.tzinfo
    return reaches(zone, wall) if zone else wall.replace(tzinfo=UTC)


def _midnight(at: datetime, days: int = 1) -> datetime:
    try:
        return _instant(datetime.combine(at.date() + days * DAY, time()), at)
    except OverflowError:  # The year 9999 is over.
        return NEVER


def _next_at(at: datetime, wanted: time) -> datetime:
    """Give an instant before the wall clock shows a time of day again, today or tomorrow."""
    if at.time() < wanted:
        return _instant(datetime.combine(at.date(), wanted), at)
    try:
        return _instant(datetime.combine(at.date() + DAY, wanted), at)
    except OverflowError:
        return NEVER


def _at_once(at: datetime) -> datetime:
    return at


def _by_day(passes: Callable[[date], bool]) -> _Filter:
    return _Filter(lambda at: passes(at.date()), _midnight, _midnight)


def _is_weekday() -> _Filter:
    return _by_day(lambda day: day.weekday() < 5)  # noqa: PLR2004 - Saturday


def _is_weekend() -> _Filter:
    return _by_day(lambda day: day.weekday() >= 5)  # noqa: PLR2004


def _is_day_of_week(day_of_week: int) -> _Filter:
    wanted = _number("day_of_week", day_of_week, 0, 6)
    return _by_day(lambda day: day.weekday() == wanted)


def _is_month_start() -> _Filter:
    return _by_day(lambda day: day.day == 1)


def _is_month_end() -> _Filter:
    return _by_day(lambda day: (day + DAY).day == 1 if day < date.max else True)


def _on_date(month: int, day: int) -> _Filter:
    wanted = _month_day(month, day)

    def opens(at: datetime) -> datetime:
        for ahead in range(1, _LEAP_DAYS):
            try:
                later = at.date() + ahead * DAY
            except OverflowError:
                return NEVER
            if (later.month, later.day) == wanted:
                return _midnight(at, ahead)
        return NEVER

    return _Filter(lambda at: (at.month, at.day) == wanted, opens, _midnight)


def _between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> _Filter:
    start, end = _month_day(start_month, start_day), _month_day(end_month, end_day)
    if start <= end:
        return _by_day(lambda day: start <= (day.month, day.day) <= end)
    return _by_day(lambda day: (day.month, day.day) >= start or (day.month, day.day) <= end)


def _at_time(t: str) -> _Filter:
    wanted = _time_of_day(t)
    return _Filter(lambda at: at.time() == wanted, lambda at: _next_at(at, wanted), _at_once)


def _between_times(start: str, end: str) -> _Filter:
    first, last = _time_of_day(start), _time_of_day(end)

    def passes(at: datetime) -> bool:
        now = at.time()
        return first <= now <= last if first <= last else now >= first or now <= last

    def closes(at: datetime) -> datetime:
        return at if at.time() == last else _next_at(at, last)

    return _Filter(passes, lambda at: _next_at(at, first), closes)


def _on_datetime(dt: str) -> _Filter:
    wanted = parse_time(dt).astimezone(UTC)
    return _Filter(
        lambda at: at == wanted, lambda at: wanted if at < wanted else NEVER, _at_once
    )  # fmt: skip


def _between_datetimes(start: str, end: str) -> _Filter:
    first, last = parse_time(start).astimezone(UTC), parse_time(end).astimezone(UTC)
    return _Filter(
        lambda at: first <= at <= last,
        lambda at: first if at < first else NEVER,
        lambda _: last,
    )


def _number(name: str, given: int, least: int, most: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        msg = f"{name} must be a whole number from {least} to {most}, not {given!r}."
        raise InvalidInputError(msg)
    return given


def _month_day(month: int, day: int) -> tuple[int, int]:
    return _number("month", month, 1, 12), _number("day", day, 1, 31)


def _time_of_day(text: str) -> time:
    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        msg = f"{text!r} has a time zone; the time zone of the clock counts. Leave it out."
        raise InvalidInputError(msg)
    return found


_MAKERS: dict[str, Callable[..., _Filter]] = {
    "at_time": _at_time,
    "between_dates": _between_dates,
    "between_datetimes": _between_datetimes,
    "between_times": _between_times,
    "is_day_of_week": _is_day_of_week,
    "is_month_end": _is_month_end,
    "is_month_start": _is_month_start,
    "is_weekday": _is_weekday,
    "is_weekend": _is_weekend,
    "on_date": _on_date,
    "on_datetime": _on_datetime,
}
