"""Schedules: when a flow runs by itself, with Prefect 1's names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loopline.flows.clocks import Clock, CronClock, IntervalClock
from loopline.records.flows import ScheduleSpec
from loopline.rules.timetable import find_zone, next_times
from loopline.rules.timetable_words import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CronSchedule", "IntervalSchedule", "Schedule"]


class Schedule:
    """Fires whenever one of its clocks does; clocks that fire together make one run.

    Args:
        clocks: Such as ``[IntervalClock(timedelta(hours=5)), CronClock("30 2 * * 1-5")]``.
            Where two fire at one time, the first one's parameter values count.
    """

    def __init__(self, clocks: Sequence[Clock]) -> None:
        self.clocks = list(clocks)

    def spec(self) -> ScheduleSpec:
        """Give the schedule as data."""
        return ScheduleSpec(clocks=[clock.record() for clock in self.clocks])

    def next(self, n: int, after: datetime | None = None) -> list[datetime]:
        """Compute the next times.

        Args:
            n: How many at most.
            after: Every answer is later than this; now, when left out. One without a time
                zone is in UTC.

        Returns:
            Aware times in the clocks' time zone when they share one, else in UTC.
        """
        after = after or datetime.now(UTC)
        if after.tzinfo is None:
            after = after.replace(tzinfo=UTC)
        spec = self.spec()
        names = {clock.timezone for clock in spec.clocks}
        zone = find_zone(names.pop()) if len(names) == 1 else UTC
        return [time.at.astimezone(zone) for time in next_times(spec, after, n)]

    def __repr__(self) -> str:
        return f"<Schedule: {describe(self.spec())}>"


class IntervalSchedule(Schedule):
    """Fires every ``interval``; without ``start_date`` on a fixed grid, not from now.

    Args:
        start_date: First time; one without a time zone is in UTC.
        interval: Time between two fires, greater than 0.
        end_date: Last possible time.

    Raises:
        InvalidInputError: For an interval that is not greater than 0.
        TypeError: For an interval that is no ``timedelta``.
    """

    def __init__(
        self,
        start_date: datetime | None = None,
        interval: timedelta | None = None,
        end_date: datetime | None = None,
    ) -> None:
        if interval is None:
            msg = "IntervalSchedule needs interval=, such as timedelta(hours=5)."
            raise TypeError(msg)
        super().__init__([IntervalClock(interval, start_date=start_date, end_date=end_date)])


class CronSchedule(Schedule):
    """Fires when the wall clock of ``start_date``'s time zone (or UTC) matches ``cron``.

    Args:
        cron: Minute, hour, day of month, month, day of week, such as ``"30 2 * * 1-5"``.
        start_date: Time before which nothing fires; its time zone is the one that counts.
        end_date: Last possible time.

    Raises:
        InvalidInputError: For a bad expression, naming the field.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> None:
        super().__init__([CronClock(cron, start_date=start_date, end_date=end_date)])
