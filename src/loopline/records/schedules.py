"""Records of schedules: clocks, filters and adjustments, as data that any machine can compute."""

from __future__ import annotations

from typing import Any

from loopline.records.base import Record

__all__ = [
    "Clock",
    "CronClock",
    "DatesClock",
    "IntervalClock",
    "OwnClock",
    "RRuleClock",
    "RecurrenceRule",
    "ScheduleFunction",
    "ScheduleSpec",
]


class IntervalClock(Record, frozen=True, kw_only=True, tag="interval", tag_field="kind"):
    """Fires at ``anchor + k * interval``.

    Attributes:
        interval_s: Seconds between two fires, greater than 0.
        anchor: ISO 8601 time with offset that the grid goes through.
        start: ISO 8601 time before which nothing fires, or empty.
        end: ISO 8601 time after which nothing fires, or empty.
        timezone: IANA name; intervals of a day or more keep to the wall clock there.
        parameters: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.
    """

    interval_s: float
    anchor: str = "2019-01-01T00:00:00+00:00"
    start: str = ""
    end: str = ""
    timezone: str = "UTC"
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


class CronClock(Record, frozen=True, kw_only=True, tag="cron", tag_field="kind"):
    """Fires when a cron expression matches the wall clock of ``timezone``.

    Attributes:
        day_or: Where both day of month and day of week are given, whether one of them is enough.
    """

    cron: str
    day_or: bool = True
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


class DatesClock(Record, frozen=True, kw_only=True, tag="dates", tag_field="kind"):
    """Fires at each of ``dates``, ISO 8601 times with offset."""

    dates: list[str]
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


class RecurrenceRule(Record, frozen=True, kw_only=True):
    """A rule as in iCalendar (RFC 5545).

    Attributes:
        text: ``DTSTART:20220301T060000``, a line break, and ``RRULE:FREQ=DAILY``, in wall-clock
            times of ``timezone``.
    """

    text: str
    timezone: str = "UTC"


class RRuleClock(Record, frozen=True, kw_only=True, tag="rrule", tag_field="kind"):
    """Fires when one of ``rules`` or ``dates`` does, and no exception.

    Attributes:
        dates: More times, ISO 8601 with offset.
        except_rules: What these give does not fire.
        except_dates: Nor do these times, ISO 8601 with offset.
    """

    rules: list[RecurrenceRule] = []
    dates: list[str] = []
    except_rules: list[RecurrenceRule] = []
    except_dates: list[str] = []
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


class OwnClock(Record, frozen=True, kw_only=True, tag="own", tag_field="kind"):
    """Fires when the code of a user's own clock says so, which goes with the flow.

    Attributes:
        own: Where the schedule has it, such as ``"clocks.0"``.
        name: What people call it.
    """

    own: str
    name: str
    timezone: str = "UTC"
    start: str = ""
    end: str = ""
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


Clock = IntervalClock | CronClock | DatesClock | RRuleClock | OwnClock


class ScheduleFunction(Record, frozen=True, kw_only=True):
    """A filter or an adjustment.

    Attributes:
        name: Such as ``"is_weekday"`` or ``"between_times"``; of a user's own: its module and name.
        arguments: Plain data: times as ISO 8601 text, durations as ``seconds``.
        own: Where the schedule has a user's own function, such as ``"filters.0"``; its code goes
            with the flow. Empty: it is one of Loopline's.
    """

    name: str
    arguments: dict[str, Any] = {}
    own: str = ""


class ScheduleSpec(Record, frozen=True, kw_only=True):
    """When a flow runs by itself: the times of its clocks that pass the filters, adjusted.

    Attributes:
        filters: All of them let a time pass.
        or_filters: At least one of them does, if there are any.
        not_filters: None of them does.
        adjustments: Move the times that passed, one after the other.
        catch_up: Of the times that passed while no scheduler was there: ``"all"``, only the
            ``"last"``, or ``"none"`` are made up for.
        jitter_s: Runs begin up to so many seconds later than they are due; the same ones each time.
    """

    clocks: list[Clock] = []
    filters: list[ScheduleFunction] = []
    or_filters: list[ScheduleFunction] = []
    not_filters: list[ScheduleFunction] = []
    adjustments: list[ScheduleFunction] = []
    catch_up: str = "last"
    jitter_s: float = 0.0

    @property
    def own_code(self) -> list[str]:
        """Names of what only a user's own code can compute; empty: any machine can."""
        functions = [*self.filters, *self.or_filters, *self.not_filters, *self.adjustments]
        return [
            each.name for each in [*self.clocks, *functions] if isinstance(each, OwnClock) or (
                isinstance(each, ScheduleFunction) and each.own
            )
        ]  # fmt: skip
