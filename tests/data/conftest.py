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
    loopline.set_experiment("wagoncab taxifare")
    yield folder
    while loopline.active_run() is not None:
        loopline.end_run()
    close_recorders()
    loopline.set_tracking_uri(None)


@pytest.fixture
def trips() -> pd.DataFrame:
    """Six trips, with gaps, in the types that taxi data have."""
    start = datetime(2022, 1, 31, 23, 40, tzinfo=UTC).replace(tzinfo=None)
    return pd.DataFrame(
        {
            "pickup": [start + timedelta(minutes=7 * i) for i in range(6)],
            "zone": ["Harlem", None, "Astoria", "Harlem", "Bronx", "Harlem"],
            "passengers": [1, 2, 1, 1, 5, 1],
            "distance": [1.5, 2.25, 0.0, None, 12.125, 3.0],
            "fare": [7.0, 9.5, 2.5, 8.0, 38.5, 12.0],
            "is_street_hail": [True, True, False, True, False, True],
        }
    )


@pytest.fixture
def taxi_month() -> Path:
    """A month of trips: real ones where they are, else those of the simulated city."""
    from loopline.demo.data_source import find_files

    return find_files(announce=lambda _: None).path("2022-01")
