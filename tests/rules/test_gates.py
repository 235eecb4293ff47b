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
from loopline.records.policies import Approval, Bound, Gain, Latency, Size, Slices
from loopline.rules.gates import Evidence, check_gates, decide, decide_nothing
from loopline.rules.scores import scored

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from loopline.records.decisions import Comparison, Decision
    from loopline.records.policies import Gate

FARE_ERRORS = np.random.default_rng(20221201).normal(0, 4, size=5000)


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
    assert "within noise (p = 0." in decision.sentence


def test_a_worse_challenger_is_kept_out() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS * 1.1)
    assert (decision.promote, decision.rule) == (False, "not better")
    assert decision.sentence == "kept v1: v4 is worse by 10.0 %"


def test_the_same_model_again_is_no_better() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS)
    assert decision.sentence == "kept v1: v4 is no better"


def test_without_a_champion_the_first_version_is_promoted_by_rule() -> None:
    evidence = Evidence(challenger=scored("mae", [1.0, 2.0], [4.8, 5.8]))
    decision = decide([Gain()], evidence, champion=None, challenger=1)
    assert decision.promote
    assert decision.rule == "first"
    assert decision.score == pytest.approx(3.8)
    assert decision.sentence == "promoted v1: there was no champion to compare with"


def test_even_the_first_version_must_predict_numbers() -> None:
    evidence = Evidence(challenger=scored("mae", [1.0, 2.0], [4.8, math.nan]))
    decision = decide([], evidence, champion=None, challenger=1)
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
    comparison = compare([5.0], [4.0], Gain())
    assert comparison.rows == 1
    assert comparison.gain == pytest.approx(0.2)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_the_interval_is_as_wide_as_theory_says(metric: str) -> None:
    """The delta method gives the standard error of the log ratio of two means."""
    random = np.random.default_rng(5)
    champion = random.normal(0, 5, size=4000)
    challenger = 0.8 * champion + random.normal(0, 1, size=4000)
    comparison = compare(champion, challenger, Gain(resamples=4000), metric=metric)

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
    gate = Gain(at_least=0.0, resamples=200)
    promoted = 0
    for _ in range(200):
        champion, challenger = random.normal(0, 4, size=(2, 300))
        promoted += _decide(champion, challenger, gate).promote
    assert promoted <= 14  # 2.5 % of 200 are 5; more than 14 would happen once in 10,000 times.


def test_the_same_seed_gives_the_same_numbers_and_another_seed_nearly() -> None:
    challenger = FARE_ERRORS * 0.8 + np.random.default_rng(1).normal(0, 1, size=5000)
    first = compare(FARE_ERRORS, challenger, Gain())
    assert compare(FARE_ERRORS, challenger, Gain()) == first
    other = compare(FARE_ERRORS, challenger, Gain(seed=1))
    assert other.low != first.low
    assert other.low == pytest.approx(first.low, abs=0.005)


def test_memory_does_not_grow_with_the_resamples() -> None:
    errors = np.random.default_rng(2).normal(size=70_000)

    def peak(resamples: int) -> int:
        tracemalloc.start()
        compare(errors, errors * 0.9, Gain(resamples=resamples))
        size: int = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(400) < peak(100) + 500_000


@settings(max_examples=60)
@given(
    errors=st.lists(st.tuples(st.floats(-150, 150), st.floats(-150, 150)), min_size=1, max_size=30),
    metric=st.sampled_from(["rmse", "mae"]),
    at_least=st.floats(0, 0.9),
)
def test_only_a_sure_and_big_enough_gain_is_ever_promoted(
    errors: list[tuple[float, float]], metric: str, at_least: float
) -> None:
    gate = Gain(at_least=at_least, min_rows=1, resamples=100)
    champion, challenger = zip(*errors, strict=True)
    decision = _decide(champion, challenger, gate, metric=metric)
    comparison = decision.comparison
    assert comparison is not None
    assert comparison.low <= comparison.high
    assert 0 < comparison.p <= 1
    assert decision.sentence.startswith("promoted" if decision.promote else "kept")
    if decision.promote:
        assert comparison.gain >= at_least
        assert comparison.low > 0


# --- the other gates ----------------------------------------------------------------------------


def test_a_bound_refuses_what_is_better_and_still_too_bad() -> None:
    decision = _decide(FARE_ERRORS, FARE_ERRORS * 0.5, Bound(at_most=1.5), Gain())
    assert (decision.promote, decision.rule) == (False, "bound")
    assert decision.sentence == (
        "kept v1: v4 is better by 50.0 %, but rmse of v4 is 1.998, above the 1.5 asked for"
    )
    assert [check.passed for check in decision.checks] == [False, True]
    assert _decide(FARE_ERRORS, FARE_ERRORS * 0.5, Bound(at_most=2.0), Gain()).promote


def test_a_bound_holds_for_the_first_version_too() -> None:
    evidence = Evidence(challenger=scored("accuracy", ["a", "b", "a"], ["a", "b", "b"]))
    decision = decide([Bound(at_least=0.9), Gain()], evidence, champion=None, challenger=1)
    assert decision.sentence == (
        "promoted nothing: accuracy of v1 is 0.6667, below the 0.9 asked for"
    )


BOROUGHS = np.repeat(["Bronx", "Brooklyn", "Manhattan", "Queens"], 500)


def test_a_version_that_is_better_in_all_and_worse_in_one_borough_is_kept_out() -> None:
    champion = np.random.default_rng(3).normal(0, 4, size=2000)
    challenger = np.where(BOROUGHS == "Bronx", 1.3, 0.5) * champion
    decision = _decide(champion, challenger, Gain(), Slices(by="borough"), borough=BOROUGHS)
    assert (decision.promote, decision.rule) == (False, "slices")
    assert decision.sentence.endswith("but worse by 30.0 % where borough is Bronx")
    slices = decision.checks[1].slices
    assert [each.value for each in slices if each.is_worse] == ["Bronx"]
    assert [each.rows for each in slices] == [500] * 4


def test_a_part_may_be_worse_by_what_is_allowed() -> None:
    champion = np.random.default_rng(3).normal(0, 4, size=2000)
    challenger = np.where(BOROUGHS == "Bronx", 1.04, 0.5) * champion
    assert _decide(champion, challenger, Gain(), Slices(by="borough"), borough=BOROUGHS).promote


def test_many_parts_of_which_none_is_worse_refuse_about_as_seldom_as_promised() -> None:
    random = np.random.default_rng(17)
    zones = np.repeat([f"zone {number}" for number in range(20)], 60)
    gate = Slices(by="zone", at_most_worse=0.0)
    refused = 0
    for _ in range(25):
        truth = random.normal(0, 4, size=1200)
        champion, challenger = truth + random.normal(0, 1, size=(2, 1200))
        refused += not _decide(champion, challenger, gate, zone=zones).promote
    assert refused <= 6  # 5 % of 25 are 1; more than 6 would happen once in 6,000 times.


def test_a_part_with_few_rows_is_shown_and_not_judged() -> None:
    champion = np.full(100, 2.0)
    challenger = np.r_[np.full(5, 200.0), np.full(95, 0.1)]
    zone = np.repeat(["small", "large"], [5, 95])
    decision = _decide(champion, challenger, Slices(by="zone"), zone=zone)
    assert decision.promote
    (small,) = [each for each in decision.checks[0].slices if each.value == "small"]
    assert (small.is_judged, small.is_worse) == (False, False)


def test_a_column_that_the_rows_do_not_have_is_named() -> None:
    with pytest.raises(InvalidInputError, match="'borough', and the rows have no such column"):
        _decide(FARE_ERRORS, FARE_ERRORS, Slices(by="borough"))


def test_a_slow_or_large_version_is_kept_out() -> None:
    old, new = scored("mae", np.zeros(40), np.ones(40)), scored("mae", np.zeros(40), np.zeros(40))
    evidence = Evidence(champion=old, challenger=new, latency_ms=12.0, size_bytes=8_000_000)
    slow = decide([Gain(), Latency(at_most_ms=5)], evidence, champion=1, challenger=4)
    assert slow.sentence == (
        "kept v1: v4 is better by 100.0 %, but takes 12 ms a row, above the 5 ms a row allowed"
    )
    large = decide([Size(at_most_mb=5), Gain()], evidence, champion=1, challenger=4)
    assert large.rule == "size"
    fine: list[Gate] = [Gain(), Latency(at_most_ms=12), Size(at_most_mb=8)]
    assert decide(fine, evidence, champion=1, challenger=4).promote


def test_a_budget_that_nobody_measured_is_an_error_and_no_yes() -> None:
    with pytest.raises(InvalidInputError, match="latency needs its number"):
        _decide(FARE_ERRORS, FARE_ERRORS, Latency(at_most_ms=5))


def test_a_person_is_asked_only_when_all_else_says_yes() -> None:
    asked = _decide(FARE_ERRORS, FARE_ERRORS * 0.5, Gain(), Approval(by=["ada", "grace"]))
    assert asked.promote
    assert asked.needs_approval
    assert asked.approvers == ["ada", "grace"]
    assert asked.sentence.endswith("it waits for a person to say yes")
    refused = _decide(FARE_ERRORS, FARE_ERRORS, Gain(), Approval())
    assert not refused.promote
    assert not refused.needs_approval


def test_errors_of_different_rows_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="as many true values as rows"):
        scored("mae", [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("gate", "metric"),
    [
        (Gain(at_least=5), "rmse"),
        (Gain(confidence=95), "rmse"),
        (Gain(resamples=10), "rmse"),
        (Gain(), "r2"),
        (Gain(test="t"), "rmse"),
        (Gain(test="delong"), "rmse"),
        (Gain(test="bootstrap"), "auc"),
        (Bound(), "rmse"),
        (Slices(by=""), "rmse"),
        (Slices(by="a", at_most_worse=-1), "rmse"),
        (Latency(at_most_ms=0), "rmse"),
    ],
)
def test_an_impossible_gate_is_refused_with_what_would_be_right(gate: Gate, metric: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"5 %|95 %|100|rmse, mae|auto|Bound\(|Slices\(|more than 0"
    ):
        check_gates([gate], metric)


def compare(
    champion: ArrayLike, challenger: ArrayLike, gate: Gain, *, metric: str = "rmse"
) -> Comparison:
    found = _decide(champion, challenger, gate, metric=metric).comparison
    assert found is not None
    return found


def _decide(
    champion: ArrayLike,
    challenger: ArrayLike,
    *gates: Gate,
    metric: str = "rmse",
    **slices: NDArray[np.str_],
) -> Decision:
    """Decide over two models by their errors."""
    truth = np.zeros(np.shape(champion))
    evidence = Evidence(
        champion=scored(metric, truth, champion),
        challenger=scored(metric, truth, challenger),
        slices=slices,
    )
    return decide(gates or (Gain(),), evidence, champion=1, challenger=4)
