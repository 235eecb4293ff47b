"""The clock of recurrence rules: what users make with ``dateutil``, as data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from loopline.flows.clocks import Clock
from loopline.flows.timing.zones import aware, time_text, zone_name
from loopline.records.schedules import RecurrenceRule
from loopline.records.schedules import RRuleClock as RRuleRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["RRuleClock"]


class RRuleClock(Clock):
    """Fires as a recurrence rule of iCalendar says.

    A rule without a time zone is in UTC. A wall-clock time that occurs twice fires the first
    time, one that is skipped fires later by what was skipped.

    Args:
        rrule_obj: An ``rrule`` or ``rruleset`` of ``dateutil.rrule``.
        start_date: Time before which nothing fires; one without a time zone is in UTC.
        end_date: Last possible time.
        parameter_defaults: Values for the flow's parameters in the runs this clock makes.
        labels: Of the runs this clock makes; None: as the flow says.

    Raises:
        InvalidInputError: The rule never fires, or counts too far.
        TypeError: It is neither.
    """

    def __init__(
        self,
        rrule_obj: Any,  # noqa: ANN401 - dateutil is not needed for anything else
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        module = sys.modules.get("dateutil.rrule")
        if module is None or not isinstance(rrule_obj, module.rrulebase):
            msg = f"rrule_obj must be a dateutil.rrule.rrule or rruleset, not {rrule_obj!r}."
            raise TypeError(msg)
        super().__init__(start_date, end_date, parameter_defaults, labels)
        self.rrule_obj = rrule_obj
        self.check()

    def record(self) -> RRuleRecord:
        """Give the clock as data."""
        given = self.rrule_obj
        if not hasattr(given, "_rrule"):
            rule = _record(given)
            return RRuleRecord(rules=[rule], **{**self.shared(), "timezone": rule.timezone})
        # A set tells what is in it by private names only.
        rules = [_record(each) for each in given._rrule]  # noqa: SLF001
        zones = [*(rule.timezone for rule in rules), *map(zone_name, given._rdate), "UTC"]  # noqa: SLF001
        return RRuleRecord(
            rules=rules,
            dates=_texts(given._rdate),  # noqa: SLF001
            except_rules=[_record(each) for each in given._exrule],  # noqa: SLF001
            except_dates=_texts(given._exdate),  # noqa: SLF001
            **{**self.shared(), "timezone": zones[0]},
        )

    def __repr__(self) -> str:
        return f"RRuleClock({str(self.rrule_obj)!r}, start_date={self.start_date!r})"


def _texts(dates: Sequence[datetime]) -> list[str]:
    return [time_text(aware(date, "a date")) for date in dates]


def _record(rule: Any) -> RecurrenceRule:  # noqa: ANN401 - an rrule
    start: datetime = rule._dtstart  # noqa: SLF001 - its text leaves out the time zone
    zone = zone_name(start)
    if start.tzinfo is not None:
        until: datetime | None = rule._until  # noqa: SLF001
        naive: dict[str, Any] = {"dtstart": start.replace(tzinfo=None)}
        if until is not None:
            naive["until"] = until.astimezone(start.tzinfo).replace(tzinfo=None)
        rule = rule.replace(**naive)
    return RecurrenceRule(text=str(rule), timezone=zone)
