"""The tests on pairs agree with their sources, and each knows what it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from loopline.records.policies import Gain
from loopline.rules.paired import gained
from loopline.rules.scores import scored

RANDOM = np.random.default_rng(20230101)


def labels(only_new: int, only_old: int, both: int, none: int) -> tuple[list[int], list[int]]:
    """Make what two models say where the truth is always 1."""
    old = [0] * only_new + [1] * only_old + [1] * both + [0] * none
    new = [1] * only_new + [0] * only_old + [1] * both + [0] * none
    return old, new


@pytest.mark.parametrize(("only_new", "only_old"), [(14, 3), (3, 14), (0, 9), (9, 0), (700, 640)])
def test_mcnemar_is_the_exact_binomial(only_new: int, only_old: int) -> None:
    old, new = labels(only_new, only_old, 50, 10)
    truth = np.ones(len(old), dtype=int)
    found = gained(scored("accuracy", truth, old), scored("accuracy", truth, new), Gain())
    exact = stats.binomtest(only_new, only_new + only_old, 0.5, alternative="greater").pvalue
    assert found.p == pytest.approx(exact, abs=1e-4 if only_new > 500 else 1e-9)
    interval = stats.binomtest(only_new, only_new + only_old).proportion_ci(0.95)
    wrong = only_new + 10
    differ = only_new + only_old
    near = 0.002 if only_new > 500 else 1e-6
    assert found.low == pytest.approx((2 * interval.low - 1) * differ / wrong, abs=near)
    assert found.high == pytest.approx((2 * interval.high - 1) * differ / wrong, abs=near)
    assert found.gain == pytest.approx((only_new - only_old) / wrong)


def test_models_that_are_right_on_the_same_rows_show_nothing() -> None:
    old, new = labels(0, 0, 50, 10)
    truth = np.ones(60, dtype=int)
    found = gained(scored("accuracy", truth, old), scored("accuracy", truth, new), Gain())
    assert (found.gain, found.p) == (0.0, 1.0)


def test_delong_agrees_with_many_draws_of_the_same_city() -> None:
    def city(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        came = (RANDOM.random(rows) < 0.3).astype(int)
        signal = came + RANDOM.normal(0, 1, size=rows)
        old = 1 / (1 + np.exp(-(signal + RANDOM.normal(0, 1, size=rows))))
        new = 1 / (1 + np.exp(-(signal + RANDOM.normal(0, 0.5, size=rows))))
        return came, old, new

    drawn = []
    widths = []
    for _ in range(300):
        came, old, new = city(400)
        champion, challenger = scored("auc", came, old), scored("auc", came, new)
        found = gained(champion, challenger, Gain())
        drawn.append(challenger.score - champion.score)
        widths.append((found.high - found.low) * (1 - champion.score) / (2 * 1.96))
    # What one draw tells of its own spread is what the draws show together.
    assert np.mean(widths) == pytest.approx(np.std(drawn), rel=0.12)


def test_the_same_likelihoods_again_are_no_better() -> None:
    came = np.array([0, 1, 0, 1, 1, 0])
    model = scored("auc", came, np.array([0.1, 0.4, 0.5, 0.6, 0.7, 0.2]))
    found = gained(model, model, Gain())
    assert (found.gain, found.p) == (0.0, 1.0)


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss", "brier", "accuracy", "auc"])
def test_what_is_surely_worse_and_what_is_surely_better_are_told_apart(metric: str) -> None:
    came = RANDOM.integers(0, 2, size=2000)
    good = np.clip(came * 0.8 + 0.1 + RANDOM.normal(0, 0.05, size=2000), 0, 1)
    bad = np.clip(came * 0.2 + 0.4 + RANDOM.normal(0, 0.15, size=2000), 0, 1)
    if metric == "accuracy":
        good, bad = (good > 0.5).astype(int), (bad > 0.5).astype(int)
    better = gained(scored(metric, came, bad), scored(metric, came, good), Gain())
    worse = gained(scored(metric, came, good), scored(metric, came, bad), Gain(), allowed=0.05)
    assert better.low > 0
    assert better.p < 0.01
    assert better.p_worse > 0.99
    assert worse.gain < 0
    assert worse.p_worse < 0.01


def test_an_error_that_is_not_a_number_leaves_nothing_to_say() -> None:
    found = gained(scored("mae", [1.0], [1.0]), scored("mae", [1.0], [math.nan]), Gain())
    assert math.isnan(found.gain)
    assert math.isnan(found.p)
