"""The schedule classes a flow is given."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from loopline.errors import InvalidInputError
from loopline.records.flows import CronClock, IntervalClock, ScheduleSpec
from loopline.schedules import CronSchedule, IntervalSchedule, Schedule, clocks

NEW_YORK = ZoneInfo("America/New_York")
EVERY_5_HOURS = IntervalSchedule(interval=timedelta(minutes=300))


def test_an_interval_schedule_without_start_date_has_the_fixed_grid() -> None:
    assert EVERY_5_HOURS.spec() == ScheduleSpec(clocks=[IntervalClock(interval_s=18_000)])
    assert EVERY_5_HOURS.next(2, after=datetime(2022, 3, 1, 1, tzinfo=UTC)) == [
        datetime(2022, 3, 1, 5, tzinfo=UTC),
        datetime(2022, 3, 1, 10, tzinfo=UTC),
    ]


def test_next_counts_from_now_when_not_told() -> None:
    (upcoming,) = EVERY_5_HOURS.next(1)
    assert timedelta(0) < upcoming - datetime.now(UTC) <= timedelta(hours=5)


def test_a_start_date_is_the_first_time_and_its_zone_the_schedules() -> None:
    first = datetime(2022, 3, 12, 2, 30, tzinfo=NEW_YORK)
    schedule = IntervalSchedule(first, timedelta(days=1))
    assert schedule.next(2, after=datetime(2022, 1, 1, tzinfo=UTC)) == [
        first,
        datetime(2022, 3, 13, 3, 30, tzinfo=NEW_YORK),
    ]


def test_dates_without_a_time_zone_are_in_utc() -> None:
    naive = datetime(2022, 3, 1, 1)  # noqa: DTZ001 - as moved programs have it
    schedule = IntervalSchedule(naive, timedelta(hours=5), end_date=naive + timedelta(hours=6))
    assert [time.isoformat() for time in schedule.next(9, after=naive - timedelta(days=1))] == [
        "2022-03-01T01:00:00+00:00",
        "2022-03-01T06:00:00+00:00",
    ]


def test_a_cron_schedule_takes_the_zone_of_its_start_date() -> None:
    schedule = CronSchedule("30 2 * * 1-5", start_date=datetime(2022, 3, 1, tzinfo=NEW_YORK))
    (clock,) = schedule.spec().clocks
    assert isinstance(clock, CronClock)
    assert clock.timezone == "America/New_York"
    assert repr(schedule).startswith("<Schedule: at 02:30 on weekdays, America/New_York")


def test_a_fixed_offset_is_a_time_zone_too() -> None:
    plus_two = timezone(timedelta(hours=2))
    schedule = CronSchedule("0 9 * * *", start_date=datetime(2022, 3, 1, tzinfo=plus_two))
    (time,) = schedule.next(1, after=datetime(2022, 3, 1, tzinfo=UTC))
    assert time.astimezone(UTC).hour == 7


def test_each_clock_brings_its_parameter_values() -> None:
    schedule = Schedule(
        clocks=[
            clocks.IntervalClock(timedelta(hours=5), parameter_defaults={"next_row": 0}),
            clocks.CronClock("0 9 * * *", parameter_defaults={"next_row": 200_000}),
        ]
    )
    assert [clock.parameters["next_row"] for clock in schedule.spec().clocks] == [0, 200_000]


def test_a_schedule_travels_by_pickle() -> None:
    copy = pickle.loads(pickle.dumps(EVERY_5_HOURS))  # noqa: S301 - our own bytes
    assert copy.spec() == EVERY_5_HOURS.spec()


def test_what_cannot_be_a_schedule_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="greater than 0, not 0 s"):
        IntervalSchedule(interval=timedelta(0))
    with pytest.raises(InvalidInputError, match="minute field '61'"):
        CronSchedule("61 * * * *")
    with pytest.raises(TypeError, match="interval must be a timedelta, not 300"):
        IntervalSchedule(interval=300)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs interval="):
        IntervalSchedule()
    with pytest.raises(TypeError, match="start_date must be a datetime"):
        IntervalSchedule(date(2022, 3, 1), timedelta(hours=5))  # type: ignore[arg-type]
