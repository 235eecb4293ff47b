"""Windows follow the calendar, and every moment lies in one of them."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.rules.windows import Window, after, before, cut, parse_window, spans_between


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("month", Window(months=1)),
        ("2 months", Window(months=2)),
        ("Week", Window(seconds=604_800)),
        ("7d", Window(seconds=604_800)),
        ("12 hours", Window(seconds=43_200)),
        ("90 minutes", Window(seconds=5_400)),
    ],
)
def test_a_window_is_read(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize("text", ["", "0 days", "fortnight", "-1 day", "1.5 h", "9" * 30 + " days"])
def test_what_is_no_window_is_said(text: str) -> None:
    with pytest.raises(InvalidInputError, match="2 months"):
        parse_window(text)


def test_months_end_where_the_calendar_says() -> None:
    assert before(datetime(2022, 3, 31), Window(months=1)) == datetime(2022, 2, 28)  # noqa: DTZ001
    assert after(datetime(2023, 12, 31), Window(months=2)) == datetime(2024, 2, 29)  # noqa: DTZ001
    new, learnt = cut(datetime(2022, 4, 1), "month", "2 months")  # noqa: DTZ001
    assert (str(new), str(learnt)) == ("2022-03-01 to 2022-04-01", "2022-01-01 to 2022-03-01")
    assert cut(datetime(2022, 4, 1), "month", "")[1] is None  # noqa: DTZ001


@given(
    start=st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    days=st.integers(40, 400),
    window=st.sampled_from(["month", "2 months", "week", "5 days", "36 hours"]),
)
def test_windows_follow_one_another_and_are_whole(start: datetime, days: int, window: str) -> None:
    until = start + timedelta(days=max(days, 70))
    spans = spans_between(start, until, window)
    assert spans[0].since == start
    assert all(one.until == other.since for one, other in itertools.pairwise(spans))
    assert spans[-1].until <= until < after(spans[-1].until, parse_window(window))


def test_a_stretch_without_a_whole_window_is_said() -> None:
    moment = datetime(2022, 1, 1)  # noqa: DTZ001
    with pytest.raises(InvalidInputError, match="not one whole month"):
        spans_between(moment, moment + timedelta(days=20), "month")
    with pytest.raises(InvalidInputError, match=r"more than 10,000"):
        spans_between(moment, moment + timedelta(days=20), "1 minute")
