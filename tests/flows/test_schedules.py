"""The schedule classes a flow is given."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule, tz

from loopline.errors import InvalidInputError
from loopline.records.flows import CronClock, IntervalClock, ScheduleSpec
from loopline.schedules import (
    CronSchedule,
    IntervalSchedule,
    RRuleSchedule,
    Schedule,
    adjustments,
    clocks,
    filters,
)

if TYPE_CHECKING:
    from datetime import tzinfo

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


NINE = clocks.CronClock("0 9 * * *", start_date=datetime(2022, 1, 1, tzinfo=NEW_YORK))
EVERY_MINUTE = clocks.IntervalClock(timedelta(minutes=1))


def on_first_of_may(dt: datetime) -> bool:
    return (dt.month, dt.day, dt.hour) == (5, 1, 9)


def never(_dt: datetime) -> bool:
    return False


def test_filters_of_ours_are_data_and_functions() -> None:
    schedule = Schedule(
        [NINE],
        filters=[filters.is_weekday, filters.between_times(time(8), time(17))],
        not_filters=[filters.on_date(12, 25)],
        adjustments=[adjustments.add(timedelta(hours=1)), adjustments.next_weekday],
    )
    spec = schedule.spec()
    assert spec.own_code == []
    assert json.loads(json.dumps(schedule.serialize()))["filters"][0] == {"name": "is_weekday"}
    assert [each.name for each in spec.adjustments] == ["add", "next_weekday"]
    monday = datetime(2022, 1, 3, 9, tzinfo=NEW_YORK)
    assert filters.is_weekday(monday)
    assert filters.between_times(time(8), time(17))(monday)
    assert not filters.is_weekend(monday)
    saturday = monday - timedelta(days=2)
    assert adjustments.next_weekday(saturday) == monday
    assert pickle.loads(pickle.dumps(schedule)).spec() == spec  # noqa: S301 - our own bytes


def test_a_filter_of_ones_own_gets_the_time_in_its_clocks_zone() -> None:
    schedule = Schedule([NINE], filters=[on_first_of_may])
    assert schedule.spec().own_code == [f"{__name__}.on_first_of_may"]
    (found,) = schedule.next(1, after=datetime(2022, 1, 1, tzinfo=UTC))
    assert found == datetime(2022, 5, 1, 9, tzinfo=NEW_YORK)


def test_a_filter_of_ones_own_that_lets_nothing_pass_ends_with_an_error() -> None:
    with pytest.raises(InvalidInputError, match="None of 100,000 times"):
        Schedule([EVERY_MINUTE], filters=[never]).next(1)


def test_a_clock_and_an_adjustment_of_ones_own() -> None:
    class Doubling(clocks.Clock):
        def events(self, after: datetime | None = None) -> list[clocks.ClockEvent]:
            begin = datetime(2022, 3, 1, tzinfo=UTC)
            times = [begin + timedelta(hours=2**each) for each in range(6)]
            return [clocks.ClockEvent(each) for each in times if after is None or each > after]

    schedule = Schedule(
        [Doubling(parameter_defaults={"next_row": 0})],
        adjustments=[lambda dt: dt - timedelta(minutes=5)],
    )
    after = datetime(2022, 3, 1, 1, tzinfo=UTC)
    events = schedule.next(9, after=after, return_events=True)
    assert [event.start_time.hour for event in events] == [1, 3, 7, 15, 7]
    assert events[0].parameter_defaults == {"next_row": 0}


@pytest.mark.parametrize(
    "more",
    [
        {"filters": [filters.is_weekday, filters.is_weekend]},
        {"filters": [filters.on_date(2, 30)]},
        {"or_filters": [filters.at_time(time(9, 0, 30))]},
        {"filters": [filters.is_month_end], "not_filters": [filters.is_month_end]},
    ],
)
def test_a_schedule_whose_filters_let_nothing_pass_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"never fire: .*no time of it passes the filters"):
        Schedule([EVERY_MINUTE], **more)


def test_a_clock_that_never_fires_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="day-of-month"):
        CronSchedule("0 0 30 2 *")
    with pytest.raises(InvalidInputError, match="never fire"):
        CronSchedule("0 0 31 2 1", day_or=False)
    with pytest.raises(InvalidInputError, match="never fire"):
        RRuleSchedule(rrule.rrule(rrule.SECONDLY, bymonth=2, bymonthday=30))
    with pytest.raises(InvalidInputError, match="one date at least"):
        clocks.DatesClock([])
    with pytest.raises(InvalidInputError, match="catch_up must be one of"):
        Schedule([NINE], catch_up="some")


@pytest.mark.parametrize(
    "zone", [NEW_YORK, tz.gettz("America/New_York"), tz.tzoffset(None, -18000)]
)
def test_a_rule_keeps_its_time_zone(zone: tzinfo) -> None:
    rule = rrule.rrule(
        rrule.DAILY,
        dtstart=datetime(2022, 1, 1, 9, tzinfo=zone),
        until=datetime(2022, 1, 3, 14, tzinfo=UTC),
    )
    found = RRuleSchedule(rule).next(9, after=datetime(2021, 1, 1, tzinfo=UTC))
    assert [each.astimezone(UTC).isoformat() for each in found] == [
        f"2022-01-0{day}T14:00:00+00:00" for day in (1, 2, 3)
    ]


def test_events_compare_by_their_time() -> None:
    early, late = (clocks.ClockEvent(datetime(2022, 3, day, tzinfo=UTC)) for day in (1, 2))
    assert early < late
    assert late > early.start_time
    assert early == datetime(2022, 3, 1, tzinfo=UTC)
    assert early != clocks.ClockEvent(early.start_time, {"next_row": 1})


def test_a_schedule_knows_its_first_and_last_date() -> None:
    dates = [datetime(2022, 3, day, tzinfo=UTC) for day in (3, 1)]
    schedule = Schedule([clocks.DatesClock(dates), NINE])
    assert schedule.start_date == NINE.start_date
    assert schedule.end_date == dates[0]
