"""A home of its own for each test, and the trips of the taxi-fare story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import loopline
from loopline.backend.recorder import close_recorders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    folder = tmp_path / "home"
    loopline.set_tracking_uri(folder)
    yield folder
    close_recorders()
    loopline.set_tracking_uri(None)


@pytest.fixture
def trips() -> pd.DataFrame:
    """Six trips out of order, one without a distance."""
    start = datetime(2022, 1, 31, 23, 40, tzinfo=UTC).replace(tzinfo=None)
    minutes = [21, 0, 7, 14, 35, 28]
    return pd.DataFrame(
        {
            "pickup_datetime": [start + timedelta(minutes=m) for m in minutes],
            "zone": ["Harlem", "Astoria", "Astoria", "Harlem", "Bronx", "Harlem"],
            "passengers": [1, 2, 1, 1, 5, 1],
            "distance": [1.5, 2.25, 0.0, None, 12.125, 3.0],
            "fare_amount": [7.0, 9.5, 2.5, 8.0, 38.5, 12.0],
        }
    )
