"""When schedules fire: grids, wall clocks, and the days clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.records.schedules import (
    Clock,
    CronClock,
    DatesClock,
    IntervalClock,
    OwnClock,
    RRuleClock,
    ScheduleFunction,
    ScheduleSpec,
)
from loopline.rules.timetable import check_schedule, find_zone, next_times, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YORK = ZoneInfo("America/New_York")
ANCHOR = datetime(2019, 1, 1, tzinfo=UTC)
EVERY_5_HOURS = ScheduleSpec(clocks=[IntervalClock(interval_s=300 * 60)])

ZONES = st.sampled_from(
    ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana",
     "Pacific/Apia", "Asia/Kathmandu", "UTC+02:00"]
)  # fmt: skip
TIMES = st.datetimes(
    min_value=datetime(2011, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
    max_value=datetime(2026, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
INTERVALS = st.builds(
    IntervalClock,
    interval_s=st.one_of(
        st.integers(60, 200_000).map(float), st.integers(1, 10).map(lambda days: days * 86_400.0)
    ),
    anchor=TIMES.map(datetime.isoformat),
    timezone=ZONES,
)
CRONS = st.builds(
    CronClock,
    cron=st.sampled_from(
        [
            "30 2 * * *",
            "0 * * * *",
            "*/20 1-3 * * *",
            "15,45 0-3 * * *",
            "0 0 1 * *",
            "30 1 * * 0",
            "0 9 * * MON-FRI",
            "59 23 L * *",
            "@daily",
            "*/7 * * * *",
        ]
    ),
    timezone=ZONES,
)
SCHEDULES = st.builds(ScheduleSpec, clocks=st.lists(st.one_of(INTERVALS, CRONS), max_size=3))


def instants(spec: ScheduleSpec, after: datetime, count: int) -> list[datetime]:
    return [time.at for time in next_times(spec, after, count)]


def in_new_york(spec: ScheduleSpec, after: datetime, count: int) -> list[str]:
    times = instants(spec, after.replace(tzinfo=NEW_YORK), count)
    return [f"{time.astimezone(NEW_YORK):%m-%d %H:%M %Z}" for time in times]


def test_an_interval_without_start_fires_on_a_grid_and_not_from_now() -> None:
    after = datetime(2022, 3, 1, 1, tzinfo=UTC)
    expected = [datetime(2022, 3, 1, hour, tzinfo=UTC) for hour in (5, 10, 15)]
    assert instants(EVERY_5_HOURS, after, 3) == expected


def test_start_and_end_themselves_fire() -> None:
    clock = IntervalClock(
        interval_s=18_000,
        anchor="2022-03-01T01:00:00+00:00",
        start="2022-03-01T01:00:00+00:00",
        end="2022-03-01T11:00:00+00:00",
    )
    fired = instants(ScheduleSpec(clocks=[clock]), datetime(2022, 2, 1, tzinfo=UTC), 9)
    assert [time.hour for time in fired] == [1, 6, 11]


def test_an_hourly_interval_fires_every_hour_of_the_day_clocks_are_set_back() -> None:
    hourly = ScheduleSpec(clocks=[IntervalClock(interval_s=3600, timezone="America/New_York")])
    assert in_new_york(hourly, datetime(2022, 11, 6, 0, 30), 3) == [  # noqa: DTZ001
        "11-06 01:00 EDT", "11-06 01:00 EST", "11-06 02:00 EST",
    ]  # fmt: skip


def test_a_daily_interval_keeps_the_wall_clock_of_its_time_zone() -> None:
    clock = IntervalClock(
        interval_s=86_400, anchor="2022-03-10T02:30:00-05:00", timezone="America/New_York"
    )
    assert in_new_york(ScheduleSpec(clocks=[clock]), datetime(2022, 3, 11, 12), 3) == [  # noqa: DTZ001
        "03-12 02:30 EST", "03-13 03:30 EDT", "03-14 02:30 EDT",
    ]  # fmt: skip


def test_a_cron_time_that_occurs_twice_fires_the_first_time_only() -> None:
    cron = ScheduleSpec(clocks=[CronClock(cron="30 1 * * *", timezone="America/New_York")])
    assert in_new_york(cron, datetime(2022, 11, 5, 12), 2) == [  # noqa: DTZ001
        "11-06 01:30 EDT", "11-07 01:30 EST",
    ]  # fmt: skip


def test_cron_times_that_are_skipped_fire_later_and_never_twice() -> None:
    cron = ScheduleSpec(clocks=[CronClock(cron="0,30 2,3 * * *", timezone="America/New_York")])
    assert in_new_york(cron, datetime(2022, 3, 13, 0), 4) == [  # noqa: DTZ001
        "03-13 03:00 EDT", "03-13 03:30 EDT", "03-14 02:00 EDT", "03-14 02:30 EDT",
    ]  # fmt: skip


def test_clocks_that_fire_together_count_once_unless_their_parameters_or_labels_differ() -> None:
    every_other_hour = IntervalClock(interval_s=7200, parameters={"next_row": 1})
    hourly = CronClock(cron="0 * * * *", parameters={"next_row": 2}, labels=["gpu"])
    spec = ScheduleSpec(clocks=[every_other_hour, hourly, hourly])
    times = next_times(spec, ANCHOR, 5)
    assert [(time.at.hour, time.parameters["next_row"], time.labels) for time in times] == [
        (1, 2, ["gpu"]), (2, 1, None), (2, 2, ["gpu"]), (3, 2, ["gpu"]), (4, 1, None),
    ]  # fmt: skip


def test_asked_for_whole_instants_all_that_fire_together_are_given() -> None:
    clocks: list[Clock] = [
        IntervalClock(interval_s=3600, parameters={"next_row": row}) for row in range(3)
    ]
    times = next_times(ScheduleSpec(clocks=clocks), ANCHOR, 4, whole=True)
    assert [time.at.hour for time in times] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("cron", "words"),
    [("61 * * * *", "minute field '61'"), ("0 0 30 2 *", "day-of-month"), ("* *", "2 fields")],
)
def test_a_bad_cron_names_the_field(cron: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        check_schedule(ScheduleSpec(clocks=[CronClock(cron=cron)]))


@pytest.mark.parametrize("interval_s", [0.0, -3600.0, float("nan"), float("inf"), 1e-9])
def test_an_interval_must_be_greater_than_zero(interval_s: float) -> None:
    with pytest.raises(InvalidInputError, match="greater than 0"):
        check_schedule(ScheduleSpec(clocks=[IntervalClock(interval_s=interval_s)]))


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="No time zone 'Mars/Olympus'"):
        find_zone("Mars/Olympus")


@pytest.mark.parametrize("zone", ["UTC+", "UTC+25", "UTC-abc", "../etc/passwd", "UTC+99:00"])
def test_a_zone_that_is_none_is_never_another_error(zone: str) -> None:
    with pytest.raises(InvalidInputError, match="No time zone"):
        find_zone(zone)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no time zone"):
        next_times(EVERY_5_HOURS, datetime(2022, 3, 1), 1)  # noqa: DTZ001


def test_a_schedule_ends_with_the_calendar() -> None:
    assert instants(EVERY_5_HOURS, datetime(9999, 12, 31, 20, tzinfo=UTC), 5) == []


OWN = ScheduleFunction(name="taxifare.flow.is_holiday", own="filters.0")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"clocks": [CronClock(cron="61 * * * *")]}, "minute field"),
        ({"clocks": [CronClock(cron="@daily", timezone="Mars/Olympus")]}, "No time zone"),
        ({"clocks": [CronClock(cron="@daily", end="soon")]}, "no ISO 8601 time"),
        ({"clocks": [OwnClock(own="clocks.0", name="moons", start="soon")]}, "no ISO 8601 time"),
        ({"clocks": [DatesClock(dates=[])]}, "one at least"),
        ({"clocks": [RRuleClock()]}, "needs a rule or a date"),
        ({"or_filters": [ScheduleFunction(name="is_holiday")]}, "No filter 'is_holiday'"),
        (
            {"not_filters": [ScheduleFunction(name="at_time", arguments={"t": 9})]},
            "wrong arguments",
        ),
        (
            {"filters": [ScheduleFunction(name="on_date", arguments={"month": True, "day": 1})]},
            "whole number from 1 to 12",
        ),
        ({"adjustments": [ScheduleFunction(name="add", arguments={"hours": 1})]}, "No adjustment"),
        (
            {"adjustments": [ScheduleFunction(name="add", arguments={"seconds": 1e300})]},
            "at most ten years",
        ),
        ({"jitter_s": float("nan")}, "jitter must be"),
        ({"catch_up": "some"}, "catch_up must be"),
    ],
)
@pytest.mark.parametrize("own", [[], [OWN]])
def test_a_schedule_that_cannot_be_is_refused_with_ones_own_code_in_it_too(
    wrong: dict[str, Any], words: str, own: list[ScheduleFunction]
) -> None:
    given: dict[str, Any] = {"clocks": [CronClock(cron="@daily")], **wrong}
    given["filters"] = [*given.get("filters", []), *own]
    with pytest.raises(InvalidInputError, match=words):
        check_schedule(ScheduleSpec(**given))


@given(spec=SCHEDULES, after=TIMES, count=st.integers(0, 40))
def test_times_rise_and_come_after(spec: ScheduleSpec, after: datetime, count: int) -> None:
    times = [after, *instants(spec, after, count)]
    assert all(early < late for early, late in pairwise(times))
    assert len(times) == (count + 1 if spec.clocks else 1)


@given(spec=SCHEDULES, after=TIMES, cut=st.integers(1, 30))
def test_asking_in_two_pieces_equals_asking_once(
    spec: ScheduleSpec, after: datetime, cut: int
) -> None:
    whole = next_times(spec, after, 30)
    if whole:
        assert whole[:cut] + next_times(spec, whole[cut - 1].at, 30 - cut) == whole


@given(spec=SCHEDULES, early=TIMES, wait_s=st.integers(0, 200_000))
def test_asking_later_only_leaves_out_what_is_past(
    spec: ScheduleSpec, early: datetime, wait_s: int
) -> None:
    late = early + timedelta(seconds=wait_s)
    expected = [time for time in next_times(spec, early, 60) if time.at > late]
    assert next_times(spec, late, len(expected)) == expected


@given(clock=INTERVALS, after=TIMES)
def test_intervals_below_a_day_stay_on_their_grid(clock: IntervalClock, after: datetime) -> None:
    interval = timedelta(seconds=clock.interval_s)
    anchor = parse_time(clock.anchor)
    if interval < timedelta(days=1):
        for at in instants(ScheduleSpec(clocks=[clock]), after, 10):
            assert (at - anchor) % interval == timedelta(0)


@given(clock=INTERVALS | CRONS, after=TIMES)
def test_a_wall_clock_schedule_fires_once_for_each_of_its_wall_clock_times(
    clock: IntervalClock | CronClock, after: datetime
) -> None:
    if isinstance(clock, IntervalClock) and clock.interval_s < 86_400:
        return
    zone = find_zone(clock.timezone)
    flat = _on_flat_clock(clock, end=after + timedelta(days=4))
    times = next_times(flat, after - timedelta(days=2), 2_000)
    real = {time.at.replace(tzinfo=zone).astimezone(UTC) for time in times}
    expected = sorted(at for at in real if after < at < after + timedelta(days=2))
    assert instants(ScheduleSpec(clocks=[clock]), after, len(expected)) == expected


def _on_flat_clock(clock: IntervalClock | CronClock, end: datetime) -> ScheduleSpec:
    """Give the same clock in UTC, where no time is skipped or doubled."""
    until = end.isoformat()
    if isinstance(clock, CronClock):
        return ScheduleSpec(clocks=[CronClock(cron=clock.cron, end=until)])
    wall = parse_time(clock.anchor).astimezone(find_zone(clock.timezone)).replace(tzinfo=UTC)
    flat = IntervalClock(interval_s=clock.interval_s, anchor=wall.isoformat(), end=until)
    return ScheduleSpec(clocks=[flat])


@given(first=SCHEDULES, second=SCHEDULES, after=TIMES)
def test_a_schedule_is_the_union_of_its_clocks(
    first: ScheduleSpec, second: ScheduleSpec, after: datetime
) -> None:
    both = ScheduleSpec(clocks=[*first.clocks, *second.clocks])
    parts = {*instants(first, after, 20), *instants(second, after, 20)}
    assert instants(both, after, 20) == sorted(parts)[:20]


#: Filters as data, and what they mean, told by nothing of ours.
FILTERS: dict[str, tuple[dict[str, Any], Callable[[datetime], bool]]] = {
    "is_weekday": ({}, lambda at: at.weekday() < 5),
    "is_weekend": ({}, lambda at: at.weekday() in {5, 6}),
    "is_month_start": ({}, lambda at: at.day == 1),
    "is_month_end": ({}, lambda at: (at + timedelta(days=1)).day == 1),
    "is_day_of_week": ({"day_of_week": 2}, lambda at: at.strftime("%a") == "Wed"),
    "on_date": ({"month": 11, "day": 6}, lambda at: f"{at:%m-%d}" == "11-06"),
    "between_dates": (
        {"start_month": 10, "start_day": 30, "end_month": 3, "end_day": 15},
        lambda at: f"{at:%m-%d}" >= "10-30" or f"{at:%m-%d}" <= "03-15",
    ),
    "at_time": ({"t": "01:30:00"}, lambda at: f"{at:%H:%M:%S}" == "01:30:00"),
    "between_times": (
        {"start": "22:00:00", "end": "01:20:00"},
        lambda at: f"{at:%H:%M:%S}" >= "22:00:00" or f"{at:%H:%M:%S}" <= "01:20:00",
    ),
    "between_datetimes": (
        {"start": "2022-03-13T00:00:00+00:00", "end": "2024-01-01T00:00:00+00:00"},
        lambda at: datetime(2022, 3, 13, tzinfo=UTC) <= at <= datetime(2024, 1, 1, tzinfo=UTC),
    ),
    "on_datetime": (
        {"dt": "2022-11-06T05:30:00+00:00"},
        lambda at: at == datetime(2022, 11, 6, 5, 30, tzinfo=UTC),
    ),
}
NAMES = st.lists(st.sampled_from(sorted(FILTERS)), max_size=2)
CHANGES = st.sampled_from(
    [datetime(2022, 3, 11, tzinfo=UTC), datetime(2022, 11, 4, tzinfo=UTC),
     datetime(2022, 12, 30, tzinfo=UTC), datetime(2024, 2, 27, tzinfo=UTC)]
)  # fmt: skip


@settings(max_examples=50)
@given(clock=CRONS | INTERVALS, names=NAMES, either=NAMES, none=NAMES, after=CHANGES | TIMES)
def test_filters_pass_what_asking_about_each_time_of_the_clock_passes(
    clock: Clock, names: list[str], either: list[str], none: list[str], after: datetime
) -> None:
    unfiltered = instants(ScheduleSpec(clocks=[clock]), after, 200)
    zone = find_zone(clock.timezone)

    def passes(name: str, at: datetime) -> bool:
        return FILTERS[name][1](at.astimezone(zone))

    expected = [
        at
        for at in unfiltered
        if all(passes(name, at) for name in names)
        and (not either or any(passes(name, at) for name in either))
        and not any(passes(name, at) for name in none)
    ]
    chosen = [
        [ScheduleFunction(name=name, arguments=FILTERS[name][0]) for name in group]
        for group in (names, either, none)
    ]
    spec = ScheduleSpec(
        clocks=[clock], filters=chosen[0], or_filters=chosen[1], not_filters=chosen[2]
    )
    # One more might take a search of many years.
    assert instants(spec, after, len(expected)) == expected


@settings(max_examples=50)
@given(
    clock=CRONS | INTERVALS,
    adjustments=st.lists(
        st.sampled_from(["next_weekday", *(f"add {hours}" for hours in (-30, 1, 24))]),
        min_size=1, max_size=2,
    ),
    after=CHANGES | TIMES,
)  # fmt: skip
def test_adjusted_times_are_all_those_later_than_asked_for_in_order(
    clock: Clock, adjustments: list[str], after: datetime
) -> None:
    zone = find_zone(clock.timezone)

    def moved(at: datetime) -> datetime:
        for adjustment in adjustments:
            if adjustment == "next_weekday":
                local = at.astimezone(zone)
                while local.weekday() > 4:
                    local = local.replace(fold=0) + timedelta(days=1)
                at = local.astimezone(UTC)
            else:
                at += timedelta(hours=int(adjustment.split()[1]))
        return at

    before = after - timedelta(days=7)
    plain = instants(ScheduleSpec(clocks=[clock]), before, 1500)
    sure = min(plain[-1] - timedelta(days=4), after + timedelta(days=20))
    expected = sorted({at for each in plain if after < (at := moved(each)) < sure})
    functions = [
        ScheduleFunction(name="next_weekday")
        if each == "next_weekday"
        else ScheduleFunction(name="add", arguments={"seconds": 3600 * int(each.split()[1])})
        for each in adjustments
    ]
    spec = ScheduleSpec(clocks=[clock], adjustments=functions)
    assert instants(spec, after, len(expected)) == expected
