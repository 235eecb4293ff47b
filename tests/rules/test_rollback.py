"""A champion is taken back when it was surely worse for long enough, and not for one bad hour."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopline.records.policies import Rollback
from loopline.rules.rollback import Live, LiveVerdict, judge_live

RULE = Rollback(at_most_worse=0.2, for_s=3600, min_rows=100)
NOW = 10_000.0


def live(error: float | np.ndarray, *, rows: int = 400, since: float = 0.0) -> Live:
    """Predictions that are off by as much, up and down, from a time on."""
    at = np.linspace(since, NOW - 1, rows)
    signs = np.where(np.arange(rows) % 2, 1.0, -1.0)
    return Live(at, 10 + signs * error, np.full(rows, 10.0))


def judge(champion: Live, before: Live | float = 1.0) -> LiveVerdict:
    return judge_live(RULE, "rmse", champion, before, until_s=NOW)


def test_a_champion_that_is_worse_all_the_while_is_taken_back() -> None:
    found = judge(live(1.3), live(1.0, since=-9_000))
    assert found.roll_back
    assert found.sentence == "its live rmse is 1.3, and the version before it had 1"
    assert found.now == pytest.approx(1.3)
    assert found.before == pytest.approx(1.0)


def test_a_champion_that_is_worse_by_what_is_allowed_stays() -> None:
    assert not judge(live(1.19)).roll_back


def test_one_bad_quarter_of_an_hour_is_not_enough() -> None:
    at = np.linspace(0, NOW - 1, 400)
    assert not judge(live(np.where(at > NOW - 900, 3.0, 0.9))).roll_back


@pytest.mark.parametrize(
    ("champion", "why"),
    [
        (live(9.0, since=NOW - 600), "live for less than 60 min"),
        (live(9.0, rows=200), "72 predictions is known"),
        (Live(*(np.empty(0),) * 3), "live for less than"),
    ],
)
def test_what_is_not_known_long_or_well_enough_takes_nothing_back(champion: Live, why: str) -> None:
    found = judge(champion)
    assert not found.roll_back
    assert why in found.sentence


def test_a_version_before_of_which_too_little_is_known_is_no_measure() -> None:
    assert not judge(live(9.0), live(1.0, rows=50, since=-9_000)).roll_back


def test_a_champion_that_predicts_nan_is_taken_back() -> None:
    assert judge(live(math.nan)).roll_back


def test_more_is_better_for_accuracy() -> None:
    at = np.linspace(0, NOW - 1, 400)
    truth = np.array(["a", "b"] * 200)
    wrong = np.where(np.arange(400) % 4 == 0, "c", truth)
    bad = Live(at, wrong, truth)
    assert judge_live(RULE, "accuracy", bad, 0.9, until_s=NOW).roll_back
    assert not judge_live(RULE, "accuracy", bad, 0.75, until_s=NOW).roll_back
