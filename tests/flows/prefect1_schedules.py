"""Schedules that Prefect 1 and Loopline are both asked about.

``prefect1_schedules.json`` beside this file holds what Prefect 1.4.1 answers. It was written by
running this file where Prefect 1.4.1, pendulum 2.1.2, dateutil 2.9 and croniter 1.3.8 (of its
days) are installed.
"""

from __future__ import annotations

import json
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MEASURED = Path(__file__).with_suffix(".json")
NEW_YORK, SANTIAGO, LORD_HOWE, BERLIN = (
    "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Europe/Berlin",
)  # fmt: skip


class Case(NamedTuple):
    """A schedule, after when it is asked, and for how many times."""

    schedule: Any
    after: datetime
    most: int = 4


def cases(package: Any, at: Callable[..., datetime]) -> dict[str, Case]:  # noqa: ANN401, PLR0915
    """Make the schedules by one of the two packages.

    Args:
        package: ``prefect.schedules`` or ``loopline.schedules``.
        at: Makes a time in a time zone from its name, year, month, day, hour and minute.
    """
    from dateutil import rrule

    clocks, filters, adjustments = package.clocks, package.filters, package.adjustments
    winter = at(NEW_YORK, 2022, 1, 1)
    spring, fall = at(NEW_YORK, 2022, 3, 12, 12), at(NEW_YORK, 2022, 11, 5, 12)
    made: dict[str, Case] = {}

    def cron(name: str, text: str, after: datetime, start: datetime = winter, **more: Any) -> None:  # noqa: ANN401
        made[name] = Case(package.CronSchedule(text, start_date=start, **more), after)

    def interval(name: str, after: datetime, start: datetime = winter, **length: float) -> None:
        schedule = package.IntervalSchedule(start_date=start, interval=timedelta(**length))
        made[name] = Case(schedule, after)

    def nine(name: str, *, after: datetime = winter, **more: Any) -> None:  # noqa: ANN401
        clock = clocks.CronClock("0 9 * * *", start_date=winter)
        made[name] = Case(package.Schedule([clock], **more), after)

    cron("cron, skipped half past two", "30 2 * * *", spring)
    cron("cron, hourly over a skipped hour", "0 * * * *", at(NEW_YORK, 2022, 3, 13, 0))
    cron("cron, doubled half past one", "30 1 * * *", fall)
    cron("cron, hourly over a doubled hour", "0 * * * *", at(NEW_YORK, 2022, 11, 6, 0))
    cron("cron, day or weekday", "0 9 13 * 5", winter)
    cron("cron, day and weekday", "0 9 13 * 5", winter, day_or=False)
    cron("cron, a step or a weekday", "0 0 */2 * 1", winter)
    cron("cron, the last Friday", "0 0 * * L5", winter)
    cron("cron, the first Saturday", "0 0 * * sat#1", winter)
    cron("cron, the last day", "0 0 L * *", winter)
    cron("cron, seconds", "0 9 * * * 30", winter)
    cron("cron, shorthand", "@weekly", winter)
    for zone in (LORD_HOWE, BERLIN):
        for month, day in ((4, 2), (10, 1), (10, 29), (3, 26)):
            after = at(zone, 2022, month, day, 12)
            cron(f"cron, {zone} {month}-{day}", "0 0 * * *", after, at(zone, 2022, 1, 1))
    cron("cron, skipped midnight", "0 0 * * *", at(SANTIAGO, 2022, 9, 9), at(SANTIAGO, 2022, 1, 1))

    interval("interval, a day over a skipped hour", spring, hours=24)
    interval("interval, a day over a doubled hour", fall, hours=24)
    interval("interval, a day at half past two", spring, at(NEW_YORK, 2022, 3, 1, 2, 30), days=1)
    interval("interval, a day at half past one", fall, at(NEW_YORK, 2022, 11, 1, 1, 30), days=1)
    interval("interval, 36 hours over a skipped hour", spring, hours=36)
    interval("interval, 36 hours over a doubled hour", fall, hours=36)
    interval("interval, an hour over a skipped hour", at(NEW_YORK, 2022, 3, 13, 0), hours=1)
    interval("interval, an hour over a doubled hour", at(NEW_YORK, 2022, 11, 6, 0), hours=1)
    interval("interval, 5 hours over a skipped hour", spring, hours=5)
    made["interval, no start"] = Case(
        package.IntervalSchedule(interval=timedelta(minutes=300)), at("UTC", 2022, 3, 1, 1)
    )

    daily = rrule.rrule(rrule.DAILY, dtstart=datetime(2022, 3, 1, 2, 30))  # noqa: DTZ001
    made["rule, no zone"] = Case(package.RRuleSchedule(daily), spring)
    made["rule, from a start"] = Case(
        package.RRuleSchedule(daily, start_date=at("UTC", 2022, 3, 20)), spring
    )
    fridays = rrule.rrule(
        rrule.MONTHLY,
        byweekday=rrule.FR(-1),
        dtstart=datetime(2022, 1, 1, 6),  # noqa: DTZ001
        count=9,
    )
    made["rule, last Fridays"] = Case(package.RRuleSchedule(fridays), at("UTC", 2022, 6, 1), 9)
    ruleset = rrule.rruleset()
    ruleset.rrule(daily)
    ruleset.rdate(datetime(2022, 3, 14))  # noqa: DTZ001
    ruleset.exdate(datetime(2022, 3, 15, 2, 30))  # noqa: DTZ001
    ruleset.exrule(rrule.rrule(rrule.DAILY, interval=3, dtstart=datetime(2022, 3, 1, 2, 30)))  # noqa: DTZ001
    made["rule, a set"] = Case(package.RRuleSchedule(ruleset), spring, 6)

    dates = [at("UTC", 2022, 3, 1), at("UTC", 2022, 2, 1), at("UTC", 2022, 3, 1)]
    made["dates"] = Case(package.Schedule([clocks.DatesClock(dates)]), winter)

    every_second = clocks.IntervalClock(
        timedelta(hours=2), start_date=winter, parameter_defaults={"next_row": 1}
    )
    every = clocks.IntervalClock(
        timedelta(hours=1), start_date=winter, parameter_defaults={"next_row": 2}, labels=["gpu"]
    )
    made["clocks, other values at one time"] = Case(
        package.Schedule([every_second, every]), winter, 6
    )
    made["clocks, the same twice"] = Case(package.Schedule([every, every]), winter, 3)

    nine("filter, weekdays", filters=[filters.is_weekday])
    nine("filter, weekends", filters=[filters.is_weekend])
    nine("filter, not weekends", not_filters=[filters.is_weekend])
    nine("filter, month starts", filters=[filters.is_month_start])
    nine("filter, month ends", filters=[filters.is_month_end])
    for day in (0, 6):
        nine(f"filter, day {day} of the week", filters=[filters.is_day_of_week(day)])
    nine("filter, a date", filters=[filters.on_date(2, 14)])
    nine("filter, dates over the year's end", filters=[filters.between_dates(12, 30, 1, 2)])
    nine("filter, dates", filters=[filters.between_dates(3, 10, 3, 12)])
    nine(
        "filter, times",
        filters=[filters.between_datetimes(at("UTC", 2022, 2, 1), at("UTC", 2022, 2, 2, 14))],
    )
    nine("filter, one time", filters=[filters.on_datetime(at("UTC", 2022, 2, 1, 14))])
    nine("filter, either", or_filters=[filters.is_month_start, filters.is_day_of_week(2)])
    hourly = clocks.CronClock("*/30 * * * *")
    night = filters.between_times(time(22), time(0, 30))
    made["filter, over midnight"] = Case(package.Schedule([hourly], filters=[night]), winter, 7)
    noon = filters.at_time(time(12, 30))
    made["filter, a time of day"] = Case(package.Schedule([hourly], filters=[noon]), winter)
    nothing = package.Schedule([hourly], filters=[noon], not_filters=[filters.is_weekday])
    made["filter, all kinds"] = Case(nothing, winter)

    nine("adjustment, later", adjustments=[adjustments.add(timedelta(hours=1))])
    nine("adjustment, a day over a skipped hour", after=at(NEW_YORK, 2022, 3, 11, 12),
         adjustments=[adjustments.add(timedelta(days=1))])  # fmt: skip
    nine("adjustment, the next weekday", adjustments=[adjustments.next_weekday],
         after=at(NEW_YORK, 2022, 1, 6))  # fmt: skip
    return made


def answers(made: dict[str, Case]) -> dict[str, list[list[Any]]]:
    """Ask them all: the time, the parameters and the labels of each event."""
    return {
        name: [
            [event.start_time.isoformat(), event.parameter_defaults, event.labels]
            for event in case.schedule.next(case.most, after=case.after, return_events=True)
        ]
        for name, case in made.items()
    }


if __name__ == "__main__":
    import pendulum  # type: ignore[import-not-found] # Where Prefect 1 is.
    import prefect.schedules  # type: ignore[import-not-found]

    found = answers(cases(prefect.schedules, lambda zone, *at: pendulum.datetime(*at, tz=zone)))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(times)}" for name, times in found.items())
    MEASURED.write_text(f"{{\n{lines}\n}}\n")
