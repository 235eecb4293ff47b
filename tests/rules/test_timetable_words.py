"""What people read about a schedule."""

from __future__ import annotations

import pytest

from loopline.records.schedules import (
    Clock,
    CronClock,
    DatesClock,
    IntervalClock,
    OwnClock,
    RecurrenceRule,
    RRuleClock,
    ScheduleFunction,
    ScheduleSpec,
)
from loopline.rules.timetable_words import describe


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (IntervalClock(interval_s=18_000), "every 5 hours"),
        (IntervalClock(interval_s=5_400), "every 90 minutes"),
        (IntervalClock(interval_s=60), "every minute"),
        (IntervalClock(interval_s=0.5), "every 0.5 seconds"),
        (IntervalClock(interval_s=86_400), "every day at 00:00, UTC"),
        (
            IntervalClock(
                interval_s=604_800,
                anchor="2022-03-07T06:15:00+00:00",
                timezone="America/New_York",
                end="2022-04-01T00:00:00+00:00",
            ),
            "every week on Monday at 01:15, America/New_York, until 2022-03-31 20:00",
        ),
        (
            CronClock(cron="30 2 * * 1-5", timezone="America/New_York"),
            "at 02:30 on weekdays, America/New_York",
        ),
        (CronClock(cron="@monthly"), "at 00:00 on the first day of every month, UTC"),
        (CronClock(cron="*/15 * * * *"), "every 15th minute of every hour, UTC"),
        (CronClock(cron="61 * * * *"), "cron '61 * * * *' (not valid)"),
    ],
)
def test_a_clock_reads_as_a_person_would_say_it(
    clock: IntervalClock | CronClock, words: str
) -> None:
    assert describe(ScheduleSpec(clocks=[clock])) == words


def test_two_clocks_are_joined_and_none_never_fires() -> None:
    both = ScheduleSpec(clocks=[IntervalClock(interval_s=60), IntervalClock(interval_s=120)])
    assert describe(both) == "every minute and every 2 minutes"
    assert describe(None) == describe(ScheduleSpec()) == "never"


def test_filters_adjustments_and_the_rest_are_told_too() -> None:
    def function(name: str, **arguments: object) -> ScheduleFunction:
        return ScheduleFunction(name=name, arguments=arguments)

    spec = ScheduleSpec(
        clocks=[CronClock(cron="0 9 * * *", labels=["gpu"])],
        filters=[
            function("is_weekday"),
            function("between_times", start="09:00:00", end="17:30:15"),
        ],
        or_filters=[function("is_month_start"), function("is_day_of_week", day_of_week=2)],
        not_filters=[
            function("on_date", month=12, day=25),
            ScheduleFunction(name="taxifare.flow.is_holiday", own="not_filters.1"),
        ],
        adjustments=[function("add", seconds=-5400), function("next_weekday")],
        catch_up="none",
        jitter_s=90,
    )
    assert describe(spec) == (
        "at 09:00 every day, UTC, for workers with gpu; only on weekdays, from 09:00 to 17:30:15, "
        "on the first day of the month or on Wednesdays, not on 25 December, not when "
        "taxifare.flow.is_holiday says so; then 90 minutes earlier, on the next weekday; up to "
        "90 seconds later; making up for nothing it missed"
    )


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (
            DatesClock(dates=[f"2022-03-0{day}T06:00:00+00:00" for day in (5, 1, 2, 3)]),
            "on 2022-03-01 06:00, 2022-03-02 06:00, 2022-03-03 06:00 and 1 more, UTC",
        ),
        (
            DatesClock(
                dates=["2022-03-01T06:00:00+00:00", "2022-03-02T06:00:00+00:00"],
                start="2022-03-01T06:00:00+00:00",
                end="2022-03-01T18:00:00+00:00",
            ),
            "on 2022-03-01 06:00, 2022-03-02 06:00, UTC, until 2022-03-01 18:00",
        ),
        (
            RRuleClock(
                rules=[RecurrenceRule(text="DTSTART:20220301T060000\nRRULE:FREQ=DAILY")],
                except_dates=["2022-03-02T06:00:00+00:00"],
            ),
            "by the rule FREQ=DAILY, UTC except on 2022-03-02 06:00",
        ),
        (OwnClock(own="clocks.0", name="Moons"), "when Moons says"),
        (
            CronClock(cron="0 9 13 * 5", day_or=False),
            "at 09:00 on the 13th day of month if it's on Friday, UTC",
        ),
        (CronClock(cron="0 9 * * * 30"), "at 09:00:30 every day, UTC"),
    ],
)
def test_other_clocks_read_well_too(clock: Clock, words: str) -> None:
    assert describe(ScheduleSpec(clocks=[clock])) == words
