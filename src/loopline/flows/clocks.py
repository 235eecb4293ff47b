"""Clocks: what a schedule is made of, with Prefect 1's names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.flows.timing.zones import aware, time_text, zone_name
from loopline.records.schedules import CronClock as CronRecord
from loopline.records.schedules import DatesClock as DatesRecord
from loopline.records.schedules import IntervalClock as IntervalRecord
from loopline.records.schedules import OwnClock, ScheduleSpec
from loopline.rules.timetable import check_schedule, find_zone, next_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loopline.records.schedules import Clock as ClockRecord

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock"]

#: Times computed at once for whoever goes on asking.
_PAGE = 100


class ClockEvent:
    """One time at which a clock fires; compares with others, and with times, by its time.

    Attributes:
        start_time: Aware time, in the clock's time zone.
        parameter_defaults: Values for the flow's parameters in the run.
        labels: Of the run; None: as the flow says.
    """

    def __init__(
        self,
        start_time: datetime,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        self.start_time = start_time
        self.parameter_defaults = parameter_defaults or {}
        self.labels = labels

    def __eq__(self, other: object) -> bool:
        if isinstance(other, datetime):
            return self.start_time == other
        if not isinstance(other, ClockEvent):
            return NotImplemented
        mine = (self.start_time, self.parameter_defaults, self.labels)
        return mine == (other.start_time, other.parameter_defaults, other.labels)

    def __hash__(self) -> int:
        return hash(self.start_time)

    def __lt__(self, other: datetime | ClockEvent) -> bool:
        return self.start_time < (other.start_time if isinstance(other, ClockEvent) else other)

    def __gt__(self, other: datetime | ClockEvent) -> bool:
        return self.start_time > (other.start_time if isinstance(other, ClockEvent) else other)

    def __repr__(self) -> str:
        more = f", {self.parameter_defaults}" if self.parameter_defaults else ""
        more += f", labels {self.labels}" if self.labels else ""
        return f"<ClockEvent: {self.start_time}{more}>"


class Clock:
    """What fires at times of its own; a subclass gives them by ``events``.

    A clock of ours is data that any machine computes. One of yours is code: it goes with the
    flow, and only workers compute its times.

    Args:
        start_date: First possible time; one without a time zone is in UTC.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.

    Raises:
        TypeError: For a date that is no ``datetime``.
    """

    def __init__(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.start_date = aware(start_date, "start_date")
        self.end_date = aware(end_date, "end_date")
        self.parameter_defaults = dict(parameter_defaults or {})
        self.labels = None if labels is None else list(labels)

    def events(self, after: datetime | None = None) -> Iterable[ClockEvent]:
        """Yield the times after a time, now when left out, in order; perhaps for ever."""
        after = aware(after, "after") or datetime.now(UTC)
        record = self.record()
        if isinstance(record, OwnClock):
            msg = f"{type(self).__name__} needs events(self, after), which yields its times."
            raise NotImplementedError(msg)
        return _events(record, after)

    def record(self) -> ClockRecord:
        """Give the clock as data."""
        return OwnClock(own="clocks.0", name=type(self).__qualname__, **self.shared())

    def shared(self) -> dict[str, Any]:
        """Give what the records of all clocks have."""
        return {
            "timezone": zone_name(self.start_date),
            "start": time_text(self.start_date),
            "end": time_text(self.end_date),
            "parameters": self.parameter_defaults,
            "labels": self.labels,
        }

    def check(self) -> None:
        """Refuse a clock that cannot be computed, or never fires."""
        check_schedule(ScheduleSpec(clocks=[self.record()]))


def _events(record: ClockRecord, after: datetime) -> Iterator[ClockEvent]:
    spec = ScheduleSpec(clocks=[record])
    zone = find_zone(record.timezone)
    for _ in count():
        times = next_times(spec, after, _PAGE)
        for time in times:
            yield ClockEvent(time.at.astimezone(zone), dict(time.parameters), time.labels)
        if len(times) < _PAGE:
            return
        after = times[-1].at


class IntervalClock(Clock):
    """Fires every ``interval``: from ``start_date`` on or, without one, on a fixed grid.

    The grid goes through 2019-01-01 00:00 UTC, so that a schedule fires at the same times
    wherever and whenever it is registered. Intervals of a day or more keep the wall-clock time of
    the start date's time zone when clocks are changed; shorter ones are absolute.

    Args:
        interval: Time between two fires, greater than 0.
        start_date: First time; one without a time zone is in UTC.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.

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
        labels: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(interval, timedelta):
            msg = (
                f"interval must be a timedelta, not {interval!r}. "
                "Give one such as timedelta(hours=5)."
            )
            raise TypeError(msg)
        super().__init__(start_date, end_date, parameter_defaults, labels)
        self.interval = interval
        self.check()

    def record(self) -> IntervalRecord:
        """Give the clock as data."""
        shared = self.shared()
        if self.start_date is not None:
            shared["anchor"] = time_text(self.start_date)
        return IntervalRecord(interval_s=self.interval.total_seconds(), **shared)

    def __repr__(self) -> str:
        return f"IntervalClock(interval={self.interval!r}, start_date={self.start_date!r})"


class CronClock(Clock):
    """Fires when the wall clock of ``start_date``'s time zone (or UTC) matches ``cron``.

    Each wall-clock time fires once: one that occurs twice when clocks are set back fires the
    first time, one that is skipped when they are set forward fires later by what was skipped.

    Args:
        cron: Minute, hour, day of month, month, day of week, such as ``"30 2 * * 1-5"``; a sixth
            field has the seconds.
        start_date: Time before which nothing fires; its time zone is the one that counts.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.
        day_or: Where day of month and day of week are both given, whether one of them is enough;
            with False, ``"0 9 13 * 5"`` means Friday the 13th.

    Raises:
        InvalidInputError: For a bad expression, naming the field, or one that never fires.
        TypeError: For a date that is no ``datetime``.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        day_or: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
    ) -> None:
        super().__init__(start_date, end_date, parameter_defaults, labels)
        self.cron = cron
        self.day_or = day_or is not False
        self.check()

    def record(self) -> CronRecord:
        """Give the clock as data."""
        return CronRecord(cron=self.cron, day_or=self.day_or, **self.shared())

    def __repr__(self) -> str:
        return f"CronClock({self.cron!r}, start_date={self.start_date!r})"


class DatesClock(Clock):
    """Fires at each of some dates, once each.

    Args:
        dates: One at least; those without a time zone are in UTC.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.

    Raises:
        InvalidInputError: There are none.
        TypeError: One is no ``datetime``.
    """

    def __init__(
        self,
        dates: Iterable[datetime],
        parameter_defaults: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.dates = sorted(date for each in dates if (date := aware(each, "a date")))
        if not self.dates:
            msg = "A DatesClock needs one date at least, such as datetime(2022, 3, 1)."
            raise InvalidInputError(msg)
        super().__init__(self.dates[0], self.dates[-1], parameter_defaults, labels)

    def record(self) -> DatesRecord:
        """Give the clock as data."""
        return DatesRecord(dates=[time_text(date) for date in self.dates], **self.shared())

    def __repr__(self) -> str:
        return f"DatesClock({self.dates!r})"
