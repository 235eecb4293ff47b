"""The default model: scikit-learn's histogram gradient boosting. Light, and hard to beat here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sklearn.ensemble import HistGradientBoostingRegressor

import loopline

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit", "log", "params"]


def params() -> dict[str, Any]:
    """Tell what the model is made with."""
    return {"model": "HistGradientBoostingRegressor", "random_state": 0}


def fit(features: pd.DataFrame, fares: pd.Series[float]) -> HistGradientBoostingRegressor:
    """Train on trips and what they cost; log the error on held-out trips after each tree."""
    model = HistGradientBoostingRegressor(random_state=0).fit(features, fares)
    # scikit-learn keeps half the mean squared error, negated, of the tenth it holds out.
    for step, score in enumerate(model.validation_score_):
        loopline.log_metric("val_rmse", math.sqrt(-2 * score), step=step)
    return model


def log(model: HistGradientBoostingRegressor, **options: Any) -> Any:  # noqa: ANN401 - passed on
    """Store the model with the current run."""
    import loopline.sklearn

    return loopline.sklearn.log_model(model, artifact_path="model", **options)
