"""Numbers of a fitted estimator: errors on data, histories of its iterations, what it found."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["found_numbers", "histories", "scores"]

#: Fitted attributes that hold one number an iteration, and the metric each becomes.
_HISTORIES = {
    "train_score_": "train_score",
    "validation_score_": "validation_score",
    "loss_curve_": "loss",
    "validation_scores_": "validation_score",
    "oob_scores_": "oob_score",
    "estimator_errors_": "estimator_error",
}
#: Fitted attributes that hold one number worth comparing between runs.
_NUMBERS = (
    *("alpha_", "best_loss_", "best_score_", "best_validation_score_", "dual_gap_", "inertia_"),
    *("kl_divergence_", "l1_ratio_", "lower_bound_", "oob_score_", "reconstruction_err_"),
    *("reconstruction_error_", "stress_"),
)


def scores(
    estimator: Any,  # noqa: ANN401 - any estimator
    features: Any,  # noqa: ANN401 - any data
    targets: Any,  # noqa: ANN401 - any data
    *,
    prefix: str,
    sample_weight: Any = None,  # noqa: ANN401 - any array
    pos_label: Any = None,  # noqa: ANN401 - any class label
) -> dict[str, float]:
    """Ask a fitted model about data whose targets are known.

    Args:
        estimator: A fitted classifier or regressor; others give what their ``score`` says.
        features: What it takes, n rows.
        targets: What is true, n rows.
        prefix: Put before each name, such as ``"training_"``.
        sample_weight: Weight of each row, shape (n,).
        pos_label: The positive class of a binary classifier; None: weighted averages.

    Returns:
        Metrics by MLflow's names, such as ``training_mean_absolute_error``; those that make no
        sense for these data (a single class, several outputs) are left out.
    """
    from sklearn.base import is_classifier, is_regressor

    if is_regressor(estimator) and targets is not None:
        found = _of_regressor(targets, estimator.predict(features), sample_weight)
    elif is_classifier(estimator) and targets is not None:
        found = _of_classifier(estimator, features, targets, sample_weight, pos_label)
    elif hasattr(estimator, "score"):
        found = {"score": lambda: estimator.score(features, targets)}
    else:
        found = {}
    return {f"{prefix}{name}": value for name, value in _what_works(found).items()}


def _of_regressor(true: Any, said: Any, weight: Any) -> dict[str, Callable[[], Any]]:  # noqa: ANN401
    from sklearn import metrics

    def mse() -> Any:  # noqa: ANN401 - a number
        return metrics.mean_squared_error(true, said, sample_weight=weight)

    def r2() -> Any:  # noqa: ANN401 - a number
        return metrics.r2_score(true, said, sample_weight=weight)

    return {
        "mean_squared_error": mse,
        "root_mean_squared_error": lambda: mse() ** 0.5,
        "mean_absolute_error": lambda: metrics.mean_absolute_error(
            true, said, sample_weight=weight
        ),
        "r2_score": r2,
        "score": r2,
    }


def _of_classifier(
    estimator: Any,  # noqa: ANN401 - any classifier
    features: Any,  # noqa: ANN401 - any data
    true: Any,  # noqa: ANN401 - any data
    weight: Any,  # noqa: ANN401 - any array
    pos_label: Any,  # noqa: ANN401 - any class label
) -> dict[str, Callable[[], Any]]:
    from sklearn import metrics

    said = estimator.predict(features)
    averaged: dict[str, Any] = {"sample_weight": weight, "average": "weighted", "zero_division": 0}
    if pos_label is not None:
        averaged |= {"average": "binary", "pos_label": pos_label}

    def accuracy() -> Any:  # noqa: ANN401 - a number
        return metrics.accuracy_score(true, said, sample_weight=weight)

    found: dict[str, Callable[[], Any]] = {
        "accuracy_score": accuracy,
        "precision_score": lambda: metrics.precision_score(true, said, **averaged),
        "recall_score": lambda: metrics.recall_score(true, said, **averaged),
        "f1_score": lambda: metrics.f1_score(true, said, **averaged),
        "score": accuracy,
    }
    if hasattr(estimator, "predict_proba"):
        chances = estimator.predict_proba(features)
        classes = list(estimator.classes_)
        found["log_loss"] = lambda: metrics.log_loss(
            true, chances, sample_weight=weight, labels=classes
        )
        found["roc_auc"] = lambda: metrics.roc_auc_score(
            true,
            chances[:, 1] if len(classes) == 2 else chances,  # noqa: PLR2004 - binary
            sample_weight=weight,
            average="weighted",
            multi_class="ovo" if weight is None else "ovr",
        )
    return found


def _what_works(found: dict[str, Callable[[], Any]]) -> dict[str, float]:
    numbers_found = {}
    for name, compute in found.items():
        try:
            numbers_found[name] = float(compute())
        except (TypeError, ValueError, AttributeError):
            continue
    return numbers_found


def histories(estimator: object) -> dict[str, list[float]]:
    """Read what a fitted estimator remembers of its iterations, such as its losses."""
    found = {}
    for attribute, name in _HISTORIES.items():
        values: Any = vars(estimator).get(attribute)
        if hasattr(values, "tolist"):
            values = values.tolist()
        if isinstance(values, list) and values and isinstance(values[0], numbers.Real):
            found[name] = [float(value) for value in values]
    return found


def found_numbers(estimator: object) -> dict[str, float]:
    """Read what a fitted estimator found, and where it stopped.

    Returns:
        Its own attributes by name without the underscore, ``stopped_iteration`` (how many
        iterations it made), and ``best_iteration`` (counted from 0) when it watched a
        validation score.
    """
    state = vars(estimator)
    found = {
        name.removesuffix("_"): float(state[name])
        for name in _NUMBERS
        if isinstance(state.get(name), numbers.Real)
    }
    iterations: Any = getattr(estimator, "n_iter_", None)
    if hasattr(iterations, "max"):
        iterations = iterations.max() if iterations.size else None
    if isinstance(iterations, numbers.Real) or hasattr(iterations, "item"):
        found["stopped_iteration"] = float(iterations)
    watched = histories(estimator).get("validation_score")
    if watched:
        found["best_iteration"] = float(watched.index(max(watched)))
    return found
