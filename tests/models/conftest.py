"""A handful of trips and models fitted on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="session")
def trips() -> pd.DataFrame:
    """Sixty trips with the columns a fare model asks for."""
    rng = np.random.default_rng(2023)
    return pd.DataFrame(
        {
            "trip_distance": rng.uniform(0.5, 20.0, 60).round(2),
            "pickup_hour": rng.integers(0, 24, 60),
            "borough": rng.choice(["Bronx", "Manhattan", "Queens"], 60),
        }
    )


@pytest.fixture(scope="session")
def fares(trips: pd.DataFrame) -> NDArray[np.float64]:
    """What the trips cost, in dollars, shape (60,)."""
    return (3.0 + 2.5 * trips["trip_distance"] + 0.1 * trips["pickup_hour"]).to_numpy()


@pytest.fixture(scope="session")
def fare_model(trips: pd.DataFrame, fares: NDArray[np.float64]) -> Any:  # noqa: ANN401 - no types
    """The demo's kind of model: categories encoded, then histogram boosting."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encode = ColumnTransformer(
        [("borough", OrdinalEncoder(), ["borough"])], remainder="passthrough"
    )
    boost = HistGradientBoostingRegressor(
        max_iter=5, min_samples_leaf=5, categorical_features=[0], random_state=0
    )
    return make_pipeline(encode, boost).fit(trips, fares)
