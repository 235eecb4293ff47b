"""Times, sizes and numbers in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.rules.words import (
    clock_words,
    count_words,
    distance_words,
    duration_words,
    number_words,
    size_words,
    time_words,
)

NOW_MS = 1_675_245_600_000
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("duration_ms", "words"),
    [
        (None, ""),
        (-5, "0 ms"),
        (0, "0 ms"),
        (350, "350 ms"),
        (4_210, "4.2 s"),
        (9_960, "10 s"),
        (59_600, "1 m"),
        (200_000, "3 m 20 s"),
        (2 * HOUR_MS + 5 * 60_000 + 9_000, "2 h 5 m"),
        (49 * HOUR_MS, "2 d 1 h"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(
    duration_ms: float | None, words: str
) -> None:
    assert duration_words(duration_ms) == words


@pytest.mark.parametrize(
    ("at_ms", "words"),
    [
        (None, ""),
        (0, ""),
        (NOW_MS - 400, "just now"),
        (NOW_MS - 59_000, "59 s ago"),
        (NOW_MS - 59_700, "1 m ago"),
        (NOW_MS - 3 * HOUR_MS, "3 h ago"),
        (NOW_MS + 2 * HOUR_MS, "in 2 h"),
        (NOW_MS - 50 * HOUR_MS, "2 d ago"),
    ],
)
def test_distances_are_said_from_now(at_ms: int | None, words: str) -> None:
    assert distance_words(at_ms, NOW_MS) == words


def test_times_are_written_in_utc() -> None:
    assert time_words(NOW_MS) == "2023-02-01 10:00:00 UTC"
    assert time_words(None) == ""


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_clock_is_too_wrong_to_be_written(at_ms: int) -> None:
    assert isinstance(time_words(at_ms), str)
    assert isinstance(clock_words(at_ms), str)
    assert isinstance(distance_words(at_ms, NOW_MS), str)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_400_000, "1.4 MB"),
        (10**15, "1000 TB"),
    ],
)
def test_sizes_are_decimal(size: int, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.456, "0.456"),
        (3.0, "3"),
        (1.23456e-7, "1.2346e-07"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_numbers_have_five_digits(value: float, words: str) -> None:
    assert number_words(value) == words


def test_one_is_not_many() -> None:
    assert count_words(1, "run") == "1 run"
    assert count_words(12_000, "run") == "12,000 runs"
    assert count_words(2, "journal", "journals") == "2 journals"
