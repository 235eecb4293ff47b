"""What people read about a schedule."""

from __future__ import annotations

import pytest

from loopline.records.flows import CronClock, IntervalClock, ScheduleSpec
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
