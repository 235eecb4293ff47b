"""The default model: scikit-learn's histogram gradient boosting. Light, and hard to beat here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.ensemble import HistGradientBoostingRegressor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit", "log", "params"]


def params() -> dict[str, Any]:
    """Tell what the model is made with."""
    return {"model": "HistGradientBoostingRegressor", "random_state": 0}


def fit(features: pd.DataFrame, fares: pd.Series[float]) -> HistGradientBoostingRegressor:
    """Train on trips and what they cost."""
    return HistGradientBoostingRegressor(random_state=0).fit(features, fares)


def log(model: HistGradientBoostingRegressor, **options: Any) -> Any:  # noqa: ANN401 - passed on
    """Store the model with the current run."""
    import loopline.sklearn

    return loopline.sklearn.log_model(model, artifact_path="model", **options)
