"""Recurrence rules fire when dateutil says so, whatever they are made of."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.rules.timetable_rrules import rule_walls

START = datetime(2021, 12, 29, 6, 30, 15)  # noqa: DTZ001 - wall-clock times
FREQUENCIES = [rrule.YEARLY, rrule.MONTHLY, rrule.WEEKLY, rrule.DAILY, rrule.HOURLY]


def some(least: int, most: int, *, size: int = 3) -> st.SearchStrategy[list[int] | None]:
    numbers = st.integers(least, most).filter(bool) if least < 0 else st.integers(least, most)
    return st.none() | st.lists(numbers, min_size=1, max_size=size, unique=True)


WEEKDAYS = st.builds(rrule.weekday, st.integers(0, 6), st.sampled_from([None, 1, 2, -1]))
RULES = st.fixed_dictionaries(
    {
        "freq": st.sampled_from([*FREQUENCIES, rrule.MINUTELY, rrule.SECONDLY]),
        "dtstart": st.datetimes(START, START + timedelta(days=500)).map(
            lambda at: at.replace(microsecond=0)
        ),
    },
    optional={
        "interval": st.integers(1, 5),
        "wkst": st.integers(0, 6),
        "count": st.integers(1, 30),
        "bymonth": some(1, 12),
        "bymonthday": some(-31, 31),
        "byyearday": some(-366, 366),
        # Where a year begins in the last week of the one before, dateutil miscounts that week.
        "byweekno": some(1, 51),
        "byweekday": st.none() | st.lists(WEEKDAYS, min_size=1, max_size=3),
        "byhour": some(0, 23),
        "byminute": some(0, 59),
        "bysecond": some(0, 59),
        "byeaster": st.none() | st.integers(-60, 60),
        "bysetpos": some(-4, 4, size=2),
    },
)


@pytest.mark.deep
@pytest.mark.timeout(300)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(parts=RULES, wait_days=st.integers(-5, 800))
@example(parts={"freq": rrule.YEARLY, "dtstart": START, "byweekno": [1, 20]}, wait_days=0)
@example(parts={"freq": rrule.YEARLY, "dtstart": START, "byeaster": [-2, 0, 1]}, wait_days=0)
@example(
    parts={"freq": rrule.WEEKLY, "dtstart": START, "interval": 2, "wkst": 6,
           "byweekday": [rrule.SU, rrule.MO], "bysetpos": [-1]},
    wait_days=3,
)  # fmt: skip
@example(
    parts={"freq": rrule.MONTHLY, "dtstart": START, "byweekday": [rrule.FR(-1)]}, wait_days=300
)
def test_a_rule_fires_when_dateutil_says_so(parts: dict[str, Any], wait_days: int) -> None:
    try:
        rule = rrule.rrule(**parts)
    except ValueError:  # It says so itself when an interval meets no hour or minute.
        return
    after = parts["dtstart"] + timedelta(days=wait_days)
    until = after + timedelta(days=1000)
    ours = list(islice(takewhile(lambda at: at <= until, rule_walls(str(rule), after)), 30))
    # Its own search goes on to the year 9999 when it is asked for one more.
    assert ours == list(islice(rule.xafter(after), len(ours)))


def test_a_rule_of_each_minute_that_began_long_ago_is_answered_without_counting() -> None:
    after = datetime(9000, 1, 1, 0, 0, 30)  # noqa: DTZ001
    walls = rule_walls("DTSTART:19000101T000000\nRRULE:FREQ=MINUTELY", after)
    assert next(walls) == datetime(9000, 1, 1, 0, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
        "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7",
        "FREQ=YEARLY;BYEASTER=300",
    ],
)
def test_a_rule_that_never_fires_ends(rule: str) -> None:
    start = datetime(2022, 1, 1)  # noqa: DTZ001
    assert next(rule_walls(f"DTSTART:20220101T000000\nRRULE:{rule}", start), None) is None


@pytest.mark.parametrize(
    "text",
    ["", "RRULE:FREQ=DAILY", "DTSTART:20220101T000000\nRRULE:FREQ=NEVER",
     "DTSTART:20220101T000000\nRRULE:FREQ=DAILY;INTERVAL=0",
     "DTSTART:20220101T000000\nRRULE:FREQ=DAILY;BYHOUR=24",
     "DTSTART:20220101T000000\nRRULE:FREQ=DAILY;COUNT=100001",
     "DTSTART:20220101T000000\nRRULE:FREQ=DAILY;BYNOON=1",
     "DTSTART:20220101T000000Z\nRRULE:FREQ=DAILY"],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no recurrence rule"):
        next(rule_walls(text, START))
