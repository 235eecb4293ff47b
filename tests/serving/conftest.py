"""Models to serve: fares by distance and hour, in versions that differ by what a start costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loopline
import loopline.sklearn
from loopline.backend.recorder import close_recorders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fare_model(start: float) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """Make a model that asks for a start, and 2 dollars a mile."""
    from sklearn.linear_model import LinearRegression

    trips = pd.DataFrame({"miles": np.arange(5.0), "hour": np.arange(5) % 3})
    return LinearRegression().fit(trips, start + 2 * trips["miles"])


@pytest.fixture(scope="session")
def example() -> pd.DataFrame:
    """Two trips, whole hours: two types of columns."""
    return pd.DataFrame({"miles": [1.0, 2.0], "hour": [8, 9]})


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, example: pd.DataFrame) -> Path:
    """Save a model that asks for 3 dollars at the start."""
    path = tmp_path_factory.mktemp("models") / "fares"
    loopline.sklearn.save_model(fare_model(3), path, input_example=example)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Record into a home of the test's own."""
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    close_recorders()
    loopline.set_tracking_uri(None)


@pytest.fixture
def fares(home: Path, example: pd.DataFrame) -> str:
    """Register three versions of a model; version N asks for N dollars at the start."""
    del home
    for version in range(1, 4):
        with loopline.start_run():
            loopline.sklearn.log_model(
                fare_model(version), "model", registered_model_name="fares", input_example=example
            )
    loopline.registry.transition_stage("fares", 1, "Production")
    return "models:/fares/Production"
