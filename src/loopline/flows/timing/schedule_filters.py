"""Filters and adjustments of schedules, with Prefect 1's names.

Those that are made here are both: functions of a time, and data, so that any machine computes
them. A filter gets the time in the time zone of its clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from loopline.flows.timing.zones import aware, time_text
from loopline.records.schedules import ScheduleFunction, ScheduleSpec
from loopline.rules.timetable_adjustments import compile_adjustments
from loopline.rules.timetable_filters import compile_filters

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "add",
    "at_time",
    "between_dates",
    "between_datetimes",
    "between_times",
    "describe_function",
    "is_day_of_week",
    "is_month_end",
    "is_month_start",
    "is_weekday",
    "is_weekend",
    "next_weekday",
    "on_date",
    "on_datetime",
]


class _Filter:
    """A filter with arguments: a function of a time, that knows itself as data."""

    def __init__(self, name: str, **arguments: Any) -> None:  # noqa: ANN401 - plain data
        self.function = ScheduleFunction(name=name, arguments=arguments)
        compile_filters(ScheduleSpec(filters=[self.function]), {})

    def __call__(self, dt: datetime) -> bool:
        return _passes(self.function, dt)

    def __repr__(self) -> str:
        return _text(self.function)


class _Adjustment:
    """An adjustment with arguments, likewise."""

    def __init__(self, name: str, **arguments: Any) -> None:  # noqa: ANN401 - plain data
        self.function = ScheduleFunction(name=name, arguments=arguments)
        compile_adjustments(ScheduleSpec(adjustments=[self.function]), {})

    def __call__(self, dt: datetime) -> datetime:
        return _adjust(self.function, dt)

    def __repr__(self) -> str:
        return _text(self.function)


def _text(function: ScheduleFunction) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in function.arguments.items())
    return f"{function.name}({arguments})"


def _passes(function: ScheduleFunction, dt: datetime) -> bool:
    spec = ScheduleSpec(filters=[function])
    return compile_filters(spec, {}).pass_(dt if dt.tzinfo else dt.replace(tzinfo=UTC))


def _adjust(function: ScheduleFunction, dt: datetime) -> datetime:
    spec = ScheduleSpec(adjustments=[function])
    at = dt if dt.tzinfo else dt.replace(tzinfo=UTC)
    return compile_adjustments(spec, {}).adjust(at).astimezone(at.tzinfo)


def describe_function(function: Callable[..., Any], own: str) -> ScheduleFunction:
    """Give a filter or an adjustment as data.

    Args:
        function: One of ours, or the user's own.
        own: Where the schedule has it.

    Raises:
        TypeError: It cannot be called.
    """
    if isinstance(function, _Filter | _Adjustment):
        return function.function
    for known in (is_month_end, is_month_start, is_weekday, is_weekend, next_weekday):
        if function is known:
            return ScheduleFunction(name=known.__name__)
    if not callable(function):
        msg = f"{own.partition('.')[0]} must be functions of a time, not {function!r}."
        raise TypeError(msg)
    kind = type(function)
    name = getattr(function, "__qualname__", kind.__qualname__)
    return ScheduleFunction(name=f"{function.__module__ or kind.__module__}.{name}", own=own)


# --- filters --------------------------------------------------------------------------------------


def on_datetime(dt: datetime) -> Callable[[datetime], bool]:
    """Let that very time pass; one without a time zone is in UTC."""
    return _Filter("on_datetime", dt=time_text(aware(dt, "dt")))


def between_datetimes(start: datetime, end: datetime) -> Callable[[datetime], bool]:
    """Let times from ``start`` to ``end`` pass, both included."""
    return _Filter(
        "between_datetimes",
        start=time_text(aware(start, "start")),
        end=time_text(aware(end, "end")),
    )


def on_date(month: int, day: int) -> Callable[[datetime], bool]:
    """Let one date of each year pass: ``on_date(12, 25)``."""
    return _Filter("on_date", month=month, day=day)


def between_dates(
    start_month: int, start_day: int, end_month: int, end_day: int
) -> Callable[[datetime], bool]:
    """Let the dates of each year from one to the other pass, perhaps over its end."""
    return _Filter(
        "between_dates",
        start_month=start_month,
        start_day=start_day,
        end_month=end_month,
        end_day=end_day,
    )


def at_time(t: time) -> Callable[[datetime], bool]:
    """Let one time of day pass, exactly."""
    return _Filter("at_time", t=t.isoformat())


def between_times(start: time, end: time) -> Callable[[datetime], bool]:
    """Let times of day from ``start`` to ``end`` pass, both included, perhaps over midnight."""
    return _Filter("between_times", start=start.isoformat(), end=end.isoformat())


def is_weekday(dt: datetime) -> bool:
    """Let Monday to Friday pass."""
    return _passes(ScheduleFunction(name="is_weekday"), dt)


def is_weekend(dt: datetime) -> bool:
    """Let Saturday and Sunday pass."""
    return _passes(ScheduleFunction(name="is_weekend"), dt)


def is_day_of_week(day_of_week: int) -> Callable[[datetime], bool]:
    """Let one day of the week pass: 0 is Monday, 6 is Sunday."""
    return _Filter("is_day_of_week", day_of_week=day_of_week)


def is_month_start(dt: datetime) -> bool:
    """Let the first day of each month pass."""
    return _passes(ScheduleFunction(name="is_month_start"), dt)


def is_month_end(dt: datetime) -> bool:
    """Let the last day of each month pass."""
    return _passes(ScheduleFunction(name="is_month_end"), dt)


# --- adjustments ----------------------------------------------------------------------------------


def add(interval: timedelta) -> Callable[[datetime], datetime]:
    """Move times later by ``interval``, earlier when it is negative; at most ten years."""
    return _Adjustment("add", seconds=interval.total_seconds())


def next_weekday(dt: datetime) -> datetime:
    """Move Saturdays and Sundays to the Monday after, at the same time of day."""
    return _adjust(ScheduleFunction(name="next_weekday"), dt)
