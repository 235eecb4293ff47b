"""Schedules: when a flow runs by itself, with Prefect 1's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from loopline.flows.clocks import Clock, ClockEvent, CronClock, IntervalClock
from loopline.flows.timing.rrules import RRuleClock
from loopline.flows.timing.schedule_filters import describe_function
from loopline.flows.timing.zones import aware
from loopline.records.schedules import OwnClock, ScheduleSpec
from loopline.rules.timetable import ScheduledTime, check_schedule, find_zone, next_times
from loopline.rules.timetable_words import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]

Filter = Callable[[datetime], bool]
Adjustment = Callable[[datetime], datetime]


class Schedule:
    """Fires whenever one of its clocks does, where the filters let it, moved by the adjustments.

    Clocks that fire together make one run, unless their parameter values or labels differ: then
    each makes its own.

    Filters, adjustments and clocks of your own are code that goes with the flow; only workers
    compute such a schedule. All others any scheduler does.

    Args:
        clocks: Such as ``[IntervalClock(timedelta(hours=5)), CronClock("30 2 * * 1-5")]``.
        filters: All of them let a time pass, which they get in its clock's time zone.
        or_filters: At least one of them does, when there are any.
        not_filters: None of them does.
        adjustments: Move what passed, one after the other. Your own move it by a month at most.
        catch_up: What is made up for of the times that passed while no scheduler was there:
            ``"all"``, the ``"last"``, or ``"none"``.
        jitter: Runs begin up to so much later than they are due, so that not all begin at once.

    Raises:
        InvalidInputError: A clock would never fire.
        TypeError: What is given is no list of clocks or functions.
    """

    def __init__(
        self,
        clocks: Iterable[Clock],
        filters: Iterable[Filter] | None = None,
        or_filters: Iterable[Filter] | None = None,
        not_filters: Iterable[Filter] | None = None,
        adjustments: Iterable[Adjustment] | None = None,
        *,
        catch_up: str = "last",
        jitter: timedelta = timedelta(0),
    ) -> None:
        if not isinstance(clocks, Iterable):
            msg = f"clocks must be a list of clocks, not {clocks!r}."
            raise TypeError(msg)
        self.clocks = list(clocks)
        self.filters = list(filters or ())
        self.or_filters = list(or_filters or ())
        self.not_filters = list(not_filters or ())
        self.adjustments = list(adjustments or ())
        self.catch_up = catch_up
        self.jitter = jitter
        for clock in self.clocks:
            if not callable(getattr(clock, "events", None)):
                msg = f"{clock!r} is no clock. Give one such as CronClock('30 2 * * 1-5')."
                raise TypeError(msg)
        check_schedule(self.spec())

    @property
    def start_date(self) -> datetime | None:
        """The earliest start date of its clocks."""
        return min((clock.start_date for clock in self.clocks if clock.start_date), default=None)

    @property
    def end_date(self) -> datetime | None:
        """The latest end date of its clocks."""
        return max((clock.end_date for clock in self.clocks if clock.end_date), default=None)

    def spec(self) -> ScheduleSpec:
        """Give the schedule as data."""
        clocks = []
        for place, clock in enumerate(self.clocks):
            record = clock.record()
            if isinstance(record, OwnClock):
                record = msgspec.structs.replace(record, own=f"clocks.{place}")
            clocks.append(record)
        functions = {
            kind: [
                describe_function(function, f"{kind}.{place}")
                for place, function in enumerate(getattr(self, kind))
            ]
            for kind in ("filters", "or_filters", "not_filters", "adjustments")
        }
        return ScheduleSpec(
            clocks=clocks,
            catch_up=self.catch_up,
            jitter_s=self.jitter.total_seconds(),
            **functions,
        )

    def serialize(self) -> dict[str, Any]:
        """Give the schedule as plain data, ready for JSON."""
        return cast("dict[str, Any]", msgspec.to_builtins(self.spec()))

    def next(
        self,
        n: int,
        after: datetime | None = None,
        return_events: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Sequence[Any]:
        """Compute the next times.

        Args:
            n: How many at most.
            after: Every answer is later than this; now, when left out. One without a time
                zone is in UTC.
            return_events: Give ``ClockEvent``s, with parameter values and labels.

        Returns:
            Aware times, or events with them, each in the time zone of its clock.

        Raises:
            InvalidInputError: Filters of your own let none of very many times pass.
        """
        after = aware(after, "after") or datetime.now(UTC)
        events = [
            ClockEvent(
                time.at.astimezone(find_zone(time.timezone)), dict(time.parameters), time.labels
            )
            for time in self.next_times(after, n, insist=True)
        ]
        return events if return_events else [event.start_time for event in events]

    def next_times(
        self, after: datetime, count: int, *, whole: bool = False, insist: bool = False
    ) -> list[ScheduledTime]:
        """Compute the next times as data; see ``loopline.rules.timetable.next_times``."""
        own: dict[str, Callable[..., Any]] = {
            f"clocks.{place}": _instants_of(clock) for place, clock in enumerate(self.clocks)
        }
        for kind in ("filters", "or_filters", "not_filters", "adjustments"):
            own |= {f"{kind}.{place}": each for place, each in enumerate(getattr(self, kind))}
        return next_times(self.spec(), after, count, whole=whole, own=own, insist=insist)

    def __repr__(self) -> str:
        return f"<Schedule: {describe(self.spec())}>"


def _instants_of(clock: Clock) -> Callable[[datetime], Iterator[datetime]]:
    def instants(after: datetime) -> Iterator[datetime]:
        for event in clock.events(after):
            at = event.start_time if isinstance(event, ClockEvent) else event
            yield (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)

    return instants


class IntervalSchedule(Schedule):
    """Fires every ``interval``; without ``start_date`` on a fixed grid, not from now.

    Args:
        start_date: First time; one without a time zone is in UTC.
        interval: Time between two fires, greater than 0.
        end_date: Last possible time.
        catch_up: As of ``Schedule``.
        jitter: As of ``Schedule``.

    Raises:
        InvalidInputError: For an interval that is not greater than 0.
        TypeError: For an interval that is no ``timedelta``.
    """

    def __init__(
        self,
        start_date: datetime | None = None,
        interval: timedelta | None = None,
        end_date: datetime | None = None,
        *,
        catch_up: str = "last",
        jitter: timedelta = timedelta(0),
    ) -> None:
        if interval is None:
            msg = "IntervalSchedule needs interval=, such as timedelta(hours=5)."
            raise TypeError(msg)
        clock = IntervalClock(interval, start_date=start_date, end_date=end_date)
        super().__init__([clock], catch_up=catch_up, jitter=jitter)


class CronSchedule(Schedule):
    """Fires when the wall clock of ``start_date``'s time zone (or UTC) matches ``cron``.

    Args:
        cron: Minute, hour, day of month, month, day of week, such as ``"30 2 * * 1-5"``.
        start_date: Time before which nothing fires; its time zone is the one that counts.
        end_date: Last possible time.
        day_or: As of ``CronClock``.
        catch_up: As of ``Schedule``.
        jitter: As of ``Schedule``.

    Raises:
        InvalidInputError: For a bad expression, naming the field, or one that never fires.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        day_or: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        *,
        catch_up: str = "last",
        jitter: timedelta = timedelta(0),
    ) -> None:
        clock = CronClock(cron, start_date=start_date, end_date=end_date, day_or=day_or)
        super().__init__([clock], catch_up=catch_up, jitter=jitter)


class RRuleSchedule(Schedule):
    """Fires as a recurrence rule of iCalendar says.

    Args:
        rrule_obj: An ``rrule`` or ``rruleset`` of ``dateutil.rrule``.
        start_date: Time before which nothing fires.
        end_date: Last possible time.
        catch_up: As of ``Schedule``.
        jitter: As of ``Schedule``.

    Raises:
        InvalidInputError: The rule never fires, or counts too far.
        TypeError: It is neither.
    """

    def __init__(
        self,
        rrule_obj: Any,  # noqa: ANN401 - dateutil is not needed for anything else
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        *,
        catch_up: str = "last",
        jitter: timedelta = timedelta(0),
    ) -> None:
        clock = RRuleClock(rrule_obj, start_date=start_date, end_date=end_date)
        super().__init__([clock], catch_up=catch_up, jitter=jitter)
