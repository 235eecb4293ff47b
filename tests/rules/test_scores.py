"""Scores are what the textbooks say, and what cannot be scored is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as sk

from loopline.errors import InvalidInputError
from loopline.rules.scores import METRICS, scored

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RANDOM = np.random.default_rng(20221201)
CAME = RANDOM.integers(0, 2, size=400)
#: Rounded, so that many are equal.
LIKELY = np.clip(np.round(0.3 * CAME + 0.7 * RANDOM.random(400), 2), 0, 1)


def test_rmse_and_mae_are_what_the_textbook_says() -> None:
    assert scored("rmse", [0.0, 0.0], [3.0, -4.0]).score == pytest.approx(math.sqrt(12.5))
    assert scored("mae", [0.0, 0.0], [3.0, -4.0]).score == 3.5


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("accuracy", sk.accuracy_score(CAME, LIKELY > 0.5)),
        ("log_loss", sk.log_loss(CAME, np.clip(LIKELY, 1e-15, 1 - 1e-15))),
        ("brier", sk.brier_score_loss(CAME, LIKELY)),
        ("auc", sk.roc_auc_score(CAME, LIKELY)),
    ],
)
def test_scores_of_labels_agree_with_scikit_learn(metric: str, reference: float) -> None:
    said = LIKELY > 0.5 if metric == "accuracy" else LIKELY
    assert scored(metric, CAME, said).score == pytest.approx(reference)


def test_likelihoods_may_come_as_two_columns_and_labels_as_text() -> None:
    both = np.stack([1 - LIKELY, LIKELY], axis=1)
    names = np.where(CAME == 1, "late", "in time")
    assert scored("auc", names, both).score == scored("auc", CAME, LIKELY).score


def test_rows_of_one_label_have_no_auc_and_a_brier_score() -> None:
    assert math.isnan(scored("auc", [1, 1], [0.4, 0.5]).score)
    assert scored("brier", [0, 0], [0.5, 0.5]).score == 0.25
    assert scored("brier", [1, 1], [1.0, 1.0]).score == 0.0


def test_one_sure_and_wrong_row_is_bad_and_not_infinite() -> None:
    assert 17 < scored("log_loss", [1, 0], [0.0, 0.0]).score < 18


@pytest.mark.parametrize(
    ("metric", "truth", "said", "why"),
    [
        ("r2", [1.0], [1.0], "Use one of rmse, mae"),
        ("rmse", [], [], "at least one row"),
        ("rmse", [[1.0, 2.0]], [1.0, 2.0], "one column"),
        ("rmse", [1.0, 2.0, 3.0], [1.0], "gave 1 numbers for 3 true values"),
        ("rmse", ["a", "b"], ["a", "b"], "Use accuracy"),
        ("auc", [0, 1, 2], [0.1, 0.2, 0.3], "about two labels, and the truth has 3"),
        ("brier", [0, 1], [0.1, 1.2], "likelihoods from 0 to 1"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_reason(
    metric: str, truth: ArrayLike, said: ArrayLike, why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        scored(metric, truth, said)


def test_every_metric_scores_a_part_of_the_rows() -> None:
    which = np.arange(400) < 100
    for metric in METRICS:
        whole = scored(metric, CAME, LIKELY)
        assert whole.part(which).score == pytest.approx(
            scored(metric, CAME[:100], LIKELY[:100]).score
        )
