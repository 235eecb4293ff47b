"""Scores of a model on rows whose truth is known, and the error that is behind each.

A challenger's gain is the part of the champion's *error* that it takes away, whatever the metric
is: the score itself where less is better, what is missing to 1 where more is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["METRICS", "Scored", "metric_named", "scored"]

#: Likelihoods nearer to 0 count as this: one sure and wrong row is no reason for infinity.
LEAST_LIKELIHOOD = 1e-15


class Metric(NamedTuple):
    """What a metric is.

    Attributes:
        more_is_better: Its best value is 1, and the error is what is missing to that.
        needs: What the model must say: ``"number"``, ``"label"`` or ``"likelihood"``.
        is_mean: It is made of one loss a row, averaged.
    """

    name: str
    more_is_better: bool = False
    needs: str = "number"
    is_mean: bool = True


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse"),
        Metric("mae"),
        Metric("accuracy", more_is_better=True, needs="label"),
        Metric("log_loss", needs="likelihood"),
        Metric("brier", needs="likelihood"),
        Metric("auc", more_is_better=True, needs="likelihood", is_mean=False),
    )
}


class Scored(NamedTuple):
    """A model on some rows.

    Attributes:
        metric: Its name.
        losses: One a row, shape (n,): squares for rmse, sizes for mae, 1 for a wrong label, and so
            on. For auc the likelihoods themselves.
        truth: Shape (n,); 0 and 1 where likelihoods are asked for.
    """

    metric: str
    losses: NDArray[np.float64]
    truth: NDArray[np.generic]

    @property
    def score(self) -> float:
        """In the metric's own unit; NaN when a prediction is not a number."""
        if self.metric == "auc":
            return _auc(self.truth, self.losses)
        return score_of(self.metric, float(self.losses.mean()))

    def part(self, which: NDArray[np.bool_]) -> Scored:
        """Take some of the rows; ``which`` has shape (n,)."""
        return Scored(self.metric, self.losses[which], self.truth[which])


def metric_named(name: str) -> Metric:
    """Find a metric.

    Raises:
        InvalidInputError: There is none of this name.
    """
    if name not in METRICS:
        msg = f"No metric {name!r} to decide by. Use one of {', '.join(METRICS)}."
        raise InvalidInputError(msg)
    return METRICS[name]


def score_of(metric: str, mean: float) -> float:
    """Turn the mean loss of a row into the score."""
    if metric == "rmse":
        return math.sqrt(mean)
    return 1 - mean if METRICS[metric].more_is_better else mean


def error_of(metric: str, score: float) -> float:
    """Turn a score into the error behind it, 0 at best."""
    return 1 - score if METRICS[metric].more_is_better else score


def scored(metric: str, truth: ArrayLike, said: ArrayLike) -> Scored:
    """Score what a model said.

    Args:
        metric: Its name.
        truth: What came true, shape (n,). For likelihoods two values, of which the greater one is
            what the likelihood is of.
        said: What the model said, shape (n,), (n, 1), or for likelihoods also (n, 2).

    Raises:
        InvalidInputError: For another metric, without rows, when the shapes differ, or when what
            was said is of the wrong kind.
    """
    import numpy as np

    kind = metric_named(metric)
    target = np.asarray(truth)
    values = np.asarray(said)
    if target.ndim == 2 and target.shape[1] == 1:  # noqa: PLR2004 - one column
        target = target[:, 0]
    if target.ndim != 1 or target.size == 0:
        msg = f"The truth must be one column with at least one row, not of shape {target.shape}."
        raise InvalidInputError(msg)
    if kind.needs == "likelihood" and values.shape == (target.size, 2):
        values = values[:, 1]
    if values.size != target.size:
        msg = (
            f"The model gave {values.size} numbers for {target.size} true values. Give as many "
            "true values as rows; a model with several outputs cannot be scored this way."
        )
        raise InvalidInputError(msg)
    values = values.reshape(target.shape)
    if kind.needs == "label":
        return Scored(metric, np.asarray(values != target, dtype=np.float64), target)
    if kind.needs == "likelihood":
        return _of_likelihoods(metric, target, _numbers(metric, values))
    errors = _numbers(metric, values) - _numbers(metric, target)
    with np.errstate(over="ignore"):  # A square beyond any number is an infinity.
        losses = np.square(errors) if metric == "rmse" else np.abs(errors)
    return Scored(metric, losses, target)


def _numbers(metric: str, values: NDArray[np.generic]) -> NDArray[np.float64]:
    import numpy as np

    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        msg = f"{metric} needs numbers, and the model or the truth has text. Use accuracy."
        raise InvalidInputError(msg) from None


def _of_likelihoods(
    metric: str, target: NDArray[np.generic], values: NDArray[np.float64]
) -> Scored:
    import numpy as np

    labels = np.unique(target)
    if len(labels) > 2:  # noqa: PLR2004 - yes and no
        msg = f"{metric} is about two labels, and the truth has {len(labels)}. Use accuracy."
        raise InvalidInputError(msg)
    if np.any((values < 0) | (values > 1)):
        msg = (
            f"{metric} needs likelihoods from 0 to 1, and the model says others. Log one that "
            "answers with them (for scikit-learn: predict_proba), or use accuracy."
        )
        raise InvalidInputError(msg)
    # With one label alone, 0 and False are the "no" that they look like.
    yes = target == labels[-1] if len(labels) > 1 or labels[-1] else np.zeros(len(target), bool)
    happened = np.asarray(yes, dtype=np.float64)
    if metric == "auc":
        return Scored(metric, values, happened)
    if metric == "brier":
        return Scored(metric, np.square(values - happened), happened)
    of_truth = np.where(happened == 1, values, 1 - values)
    return Scored(metric, -np.log(np.maximum(of_truth, LEAST_LIKELIHOOD)), happened)


def _auc(happened: NDArray[np.generic], values: NDArray[np.float64]) -> float:
    """Chance that a row that happened is held for likelier than one that did not."""
    import numpy as np

    yes = int(np.count_nonzero(happened))
    no = len(happened) - yes
    if not yes or not no or not np.isfinite(values).all():
        return math.nan
    above = midranks(values)[happened == 1].sum() - yes * (yes + 1) / 2
    return float(above / (yes * no))


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank values from 1 on, equal ones alike in the middle of their ranks; shape (n,)."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place.reshape(values.shape)]
    return ranks
