"""Adjustments of schedules: they move the times that passed the filters."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError
from loopline.rules.timetable_zones import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.records.schedules import ScheduleFunction, ScheduleSpec

__all__ = ["Adjustments", "compile_adjustments"]

#: A user's own adjustment is taken to move a time by no more.
OWN_REACH = timedelta(days=31)
_SATURDAY = 5


class Adjustments(NamedTuple):
    """All adjustments of a schedule.

    Attributes:
        least: No time is moved by less; negative: earlier.
        most: No time is moved by more.
    """

    steps: list[Callable[[datetime], datetime]]
    least: timedelta
    most: timedelta

    def adjust(self, at: datetime) -> datetime:
        """Move a time that is in its clock's time zone; the answer is in UTC.

        Raises:
            InvalidInputError: A user's own adjustment answered no datetime.
        """
        for step in self.steps:
            at = step(at)
            if not isinstance(at, datetime):
                msg = f"An adjustment must answer a datetime, not {at!r}."
                raise InvalidInputError(msg)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def compile_adjustments(spec: ScheduleSpec, own: Mapping[str, Callable[..., Any]]) -> Adjustments:
    """Make the adjustments of a schedule.

    Raises:
        InvalidInputError: One is unknown or its arguments are wrong.
    """
    steps, least, most = [], timedelta(0), timedelta(0)
    for function in spec.adjustments:
        step, lowest, highest = _compile(function, own)
        steps.append(step)
        least, most = least + lowest, most + highest
    return Adjustments(steps, least, most)


def _compile(
    function: ScheduleFunction, own: Mapping[str, Callable[..., Any]]
) -> tuple[Callable[[datetime], datetime], timedelta, timedelta]:
    if function.own:
        if function.own not in own:
            msg = f"The adjustment {function.name!r} is the user's own: only workers have its code."
            raise InvalidInputError(msg)
        return own[function.own], -OWN_REACH, OWN_REACH
    if function.name == "next_weekday" and not function.arguments:
        return _next_weekday, timedelta(0), 3 * DAY  # Two, and changes of the clocks.
    if function.name == "add" and function.arguments.keys() == {"seconds"}:
        interval = _interval(function.arguments["seconds"])
        return lambda at: (at.astimezone(UTC) + interval).astimezone(at.tzinfo), interval, interval
    msg = (
        f"No adjustment {function.name!r} with {sorted(function.arguments)}. There are "
        "add(seconds) and next_weekday()."
    )
    raise InvalidInputError(msg)


def _interval(seconds: float) -> timedelta:
    try:
        interval = timedelta(seconds=seconds)
    except (OverflowError, TypeError, ValueError):
        interval = timedelta.max
    if abs(interval) > 3660 * DAY or math.isnan(seconds):
        msg = f"add() takes at most ten years, not {seconds!r} s."
        raise InvalidInputError(msg)
    return interval


def _next_weekday(at: datetime) -> datetime:
    """Move Saturdays and Sundays to Monday, at the same time of day."""
    days = 7 - at.weekday() if at.weekday() >= _SATURDAY else 0
    if not days:
        return at
    return (at.replace(fold=0) + days * DAY).astimezone(UTC).astimezone(at.tzinfo)
