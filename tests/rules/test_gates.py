"""The gate promotes what is really better, keeps the rest, and says why in one sentence."""

from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.rules.gates import (
    Decision,
    Gate,
    compare_errors,
    decide,
    decide_first,
    decide_nothing,
    score,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

GATE = Gate()
FARE_ERRORS = np.random.default_rng(20221201).normal(0, 4, size=5000)


def test_rmse_and_mae_are_what_the_textbook_says() -> None:
    assert score([3.0, -4.0], "rmse") == pytest.approx(math.sqrt(12.5))
    assert score([3.0, -4.0], "mae") == 3.5


def test_a_challenger_a_quarter_better_is_promoted() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS * 0.76)
    assert decision.promote
    assert decision.rule == "better"
    # The same factor on every row: every resample shows the same gain.
    assert decision.sentence == (
        "promoted v4 over v1: better by 24.0 % (95 % interval 24.0–24.0 %)"  # noqa: RUF001
    )


def test_a_challenger_a_little_better_for_sure_is_kept_out() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS * 0.977)
    assert not decision.promote
    assert decision.rule == "too little"
    assert decision.sentence == "kept v1: v4 is better by 2.3 %, below the 5 % asked for"


def test_a_gain_of_a_few_lucky_rows_is_kept_out() -> None:
    champion = np.r_[np.full(200, 3.0), 60.0]
    challenger = np.r_[np.full(200, 3.01), 3.0]  # Better on one absurd fare only.
    decision = _decide(champion, challenger)
    assert decision.comparison is not None
    assert decision.comparison.gain > 0.2
    assert decision.rule == "unsure"
    assert "may be luck" in decision.sentence


def test_a_worse_challenger_is_kept_out() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS * 1.1)
    assert (decision.promote, decision.rule) == (False, "not better")
    assert decision.sentence == "kept v1: v4 is worse by 10.0 %"


def test_the_same_model_again_is_no_better() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS)
    assert decision.sentence == "kept v1: v4 is no better"


def test_without_a_champion_the_first_version_is_promoted_by_rule() -> None:
    decision = decide_first(1, score=3.8)
    assert decision.promote
    assert decision.rule == "first"
    assert decision.score == 3.8


def test_even_the_first_version_must_predict_numbers() -> None:
    decision = decide_first(1, score=math.nan)
    assert not decision.promote
    assert decision.sentence == "promoted nothing: v1 predicts what is not a number"


def test_without_rows_to_compare_on_everything_stays() -> None:
    decision = decide_nothing(4, "no rows that neither has seen", champion=1)
    assert (decision.promote, decision.rule) == (False, "no score")
    assert decision.sentence == "kept v1: no rows that neither has seen"


def test_a_challenger_that_predicts_nan_is_never_promoted() -> None:
    broken = FARE_ERRORS.copy()
    broken[7] = math.nan
    decision = _decide(FARE_ERRORS, broken)
    assert (decision.promote, decision.rule) == (False, "no score")
    assert "v4 predicts what is not a number" in decision.sentence


def test_a_champion_that_predicts_nan_is_named() -> None:
    broken = np.full_like(FARE_ERRORS, math.inf)
    decision = _decide(broken, FARE_ERRORS)
    assert not decision.promote
    assert "v1 predicts what is not a number" in decision.sentence


def test_a_perfect_champion_cannot_be_beaten() -> None:
    assert not _decide(np.zeros(50), np.zeros(50)).promote
    assert not _decide(np.zeros(50), np.ones(50)).promote


def test_a_gain_on_a_handful_of_rows_promotes_nothing() -> None:
    decision = _decide(np.full(29, 5.0), np.full(29, 3.0))
    assert (decision.promote, decision.rule) == (False, "too few")
    assert decision.sentence == ("kept v1: too few rows to compare v4 on (29, of the 30 asked for)")
    assert _decide(np.full(30, 5.0), np.full(30, 3.0)).promote


def test_one_row_is_not_enough_to_be_sure_of_anything_but_itself() -> None:
    comparison = compare_errors([5.0], [4.0], GATE)
    assert comparison.rows == 1
    assert comparison.gain == pytest.approx(0.2)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_the_interval_is_as_wide_as_theory_says(metric: str) -> None:
    """The delta method gives the standard error of the log ratio of two means."""
    random = np.random.default_rng(5)
    champion = random.normal(0, 5, size=4000)
    challenger = 0.8 * champion + random.normal(0, 1, size=4000)
    comparison = compare_errors(champion, challenger, Gate(metric=metric, resamples=4000))

    losses = np.stack([champion, challenger])
    losses = losses**2 if metric == "rmse" else np.abs(losses)
    relative = losses / losses.mean(axis=1, keepdims=True)
    power = 0.5 if metric == "rmse" else 1.0
    deviation = power * (relative[1] - relative[0]).std() / math.sqrt(4000)
    ratio = comparison.challenger / comparison.champion
    assert comparison.low == pytest.approx(1 - ratio * math.exp(1.96 * deviation), abs=0.0015)
    assert comparison.high == pytest.approx(1 - ratio * math.exp(-1.96 * deviation), abs=0.0015)


def test_a_true_null_is_refused_about_as_often_as_promised() -> None:
    random = np.random.default_rng(11)
    gate = Gate(min_gain=0.0, resamples=200)
    promoted = 0
    for _ in range(200):
        champion, challenger = random.normal(0, 4, size=(2, 300))
        comparison = compare_errors(champion, challenger, gate)
        promoted += decide(comparison, gate, champion=1, challenger=2).promote
    assert promoted <= 14  # 2.5 % of 200 are 5; more than 14 would happen once in 10,000 times.


def test_the_same_seed_gives_the_same_numbers_and_another_seed_nearly() -> None:
    challenger = FARE_ERRORS * 0.8 + np.random.default_rng(1).normal(0, 1, size=5000)
    first = compare_errors(FARE_ERRORS, challenger, GATE)
    assert compare_errors(FARE_ERRORS, challenger, GATE) == first
    other = compare_errors(FARE_ERRORS, challenger, Gate(seed=1))
    assert other.low != first.low
    assert other.low == pytest.approx(first.low, abs=0.005)


def test_memory_does_not_grow_with_the_resamples() -> None:
    errors = np.random.default_rng(2).normal(size=70_000)

    def peak(resamples: int) -> int:
        tracemalloc.start()
        compare_errors(errors, errors * 0.9, Gate(resamples=resamples))
        size: int = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(400) < peak(100) + 500_000


@settings(max_examples=60)
@given(
    errors=st.lists(st.tuples(st.floats(-150, 150), st.floats(-150, 150)), min_size=1, max_size=30),
    metric=st.sampled_from(["rmse", "mae"]),
    min_gain=st.floats(0, 0.9),
)
def test_only_a_sure_and_big_enough_gain_is_ever_promoted(
    errors: list[tuple[float, float]], metric: str, min_gain: float
) -> None:
    gate = Gate(metric=metric, min_gain=min_gain, min_rows=1, resamples=100)
    champion, challenger = zip(*errors, strict=True)
    comparison = compare_errors(champion, challenger, gate)
    decision = decide(comparison, gate, champion=1, challenger=2)
    assert comparison.low <= comparison.high
    assert 0 < comparison.p <= 1
    assert decision.sentence.startswith("promoted" if decision.promote else "kept")
    if decision.promote:
        assert comparison.gain >= min_gain
        assert comparison.low > 0


def test_errors_of_different_rows_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="same rows"):
        compare_errors([1.0, 2.0], [1.0], GATE)


@pytest.mark.parametrize(
    "gate", [Gate(min_gain=5), Gate(confidence=95), Gate(resamples=10), Gate(metric="auc")]
)
def test_an_impossible_gate_is_refused_with_what_would_be_right(gate: Gate) -> None:
    with pytest.raises(InvalidInputError, match=r"5 %|95 %|100|rmse, mae"):
        compare_errors([1.0], [1.0], gate)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one row"):
        score([])


def _decide(champion: ArrayLike, challenger: ArrayLike) -> Decision:
    comparison = compare_errors(champion, challenger, GATE)
    return decide(comparison, GATE, champion=1, challenger=4)
