"""Clocks: what a schedule is made of, with Prefect 1's names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from loopline.errors import InvalidInputError
from loopline.records.flows import CronClock as CronRecord
from loopline.records.flows import IntervalClock as IntervalRecord
from loopline.records.flows import ScheduleSpec
from loopline.rules.timetable import check_schedule, find_zone

__all__ = ["Clock", "CronClock", "IntervalClock"]


class Clock(Protocol):
    """Something that fires at times that can be computed."""

    def record(self) -> IntervalRecord | CronRecord:
        """Give the clock as data."""
        ...


class IntervalClock:
    """Fires every ``interval``: from ``start_date`` on or, without one, on a fixed grid.

    The grid goes through 2019-01-01 00:00 UTC, so that a schedule fires at the same times
    wherever and whenever it is registered. Intervals of whole days keep the wall-clock time of
    the start date's time zone when clocks are changed; shorter ones are absolute.

    Args:
        interval: Time between two fires, greater than 0.
        start_date: First time; one without a time zone is in UTC.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.

    Raises:
        InvalidInputError: For an interval that is not greater than 0.
        TypeError: For an interval that is no ``timedelta``, a date that is no ``datetime``.
    """

    def __init__(
        self,
        interval: timedelta,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(interval, timedelta):
            msg = (
                f"interval must be a timedelta, not {interval!r}. "
                "Give one such as timedelta(hours=5)."
            )
            raise TypeError(msg)
        self.interval = interval
        self.start_date = _aware(start_date, "start_date")
        self.end_date = _aware(end_date, "end_date")
        self.parameter_defaults = dict(parameter_defaults or {})
        check_schedule(ScheduleSpec(clocks=[self.record()]))

    def record(self) -> IntervalRecord:
        """Give the clock as data."""
        start = _text(self.start_date)
        grid = {"anchor": start} if start else {}
        return IntervalRecord(
            interval_s=self.interval.total_seconds(),
            start=start,
            end=_text(self.end_date),
            timezone=_zone_name(self.start_date),
            parameters=self.parameter_defaults,
            **grid,
        )

    def __repr__(self) -> str:
        return f"IntervalClock(interval={self.interval!r}, start_date={self.start_date!r})"


class CronClock:
    """Fires when the wall clock of ``start_date``'s time zone (or UTC) matches ``cron``.

    Each wall-clock time fires once: one that occurs twice when clocks are set back fires the
    first time, one that is skipped when they are set forward fires later by what was skipped.

    Args:
        cron: Minute, hour, day of month, month, day of week, such as ``"30 2 * * 1-5"``.
        start_date: Time before which nothing fires; its time zone is the one that counts.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.

    Raises:
        InvalidInputError: For a bad expression, naming the field.
        TypeError: For a date that is no ``datetime``.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
    ) -> None:
        self.cron = cron
        self.start_date = _aware(start_date, "start_date")
        self.end_date = _aware(end_date, "end_date")
        self.parameter_defaults = dict(parameter_defaults or {})
        check_schedule(ScheduleSpec(clocks=[self.record()]))

    def record(self) -> CronRecord:
        """Give the clock as data."""
        return CronRecord(
            cron=self.cron,
            timezone=_zone_name(self.start_date),
            start=_text(self.start_date),
            end=_text(self.end_date),
            parameters=self.parameter_defaults,
        )

    def __repr__(self) -> str:
        return f"CronClock({self.cron!r}, start_date={self.start_date!r})"


def _aware(date: datetime | None, name: str) -> datetime | None:
    """Put a date without a time zone into UTC."""
    if date is None:
        return None
    if not isinstance(date, datetime):
        msg = f"{name} must be a datetime, not {date!r}. Give one such as datetime(2022, 3, 1)."
        raise TypeError(msg)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _text(date: datetime | None) -> str:
    return date.isoformat() if date else ""


def _zone_name(date: datetime | None) -> str:
    """Name the time zone of a date: zoneinfo says ``key``, pendulum ``name``, pytz ``zone``."""
    zone = date.tzinfo if date else None
    if zone is None:
        return "UTC"
    for attribute in ("key", "name", "zone"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str):
            find_zone(name)
            return name
    name = str(zone)  # datetime.timezone says "UTC+02:00".
    try:
        find_zone(name)
    except InvalidInputError:
        msg = (
            f"The time zone {zone!r} has no name that a worker elsewhere would know. "
            "Use zoneinfo.ZoneInfo('America/New_York')."
        )
        raise InvalidInputError(msg) from None
    return name
