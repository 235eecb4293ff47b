"""A home of its own for each test, days of trips, and models that are trained on feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.records.operations import RegisterVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.feeds import FeedRows

MODEL = "taxifare_model"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    folder = tmp_path / "home"
    loopline.set_tracking_uri(folder)
    loopline.set_experiment("wagoncab taxifare")
    yield folder
    close_recorders()
    loopline.set_tracking_uri(None)


def trips(day: int, count: int = 5) -> pd.DataFrame:
    """Trips of a day of March 2022, one an hour."""
    return pd.DataFrame(
        {
            "trip_id": [f"{day:02d}-{hour:02d}" for hour in range(count)],
            "pickup_datetime": pd.date_range(f"2022-03-{day:02d}", periods=count, freq="h"),
            "fare_amount": np.arange(count) + 2.5,
        }
    )


def train(rows: FeedRows, *, context: str = "training", promote: bool = True) -> int:
    """Train a version on rows of a feed; answers its number."""
    with loopline.start_run() as run:
        loopline.log_input(rows, context=context)
    made = get_recorder().call(
        RegisterVersion(name=MODEL, run_id=run.info.run_id, artifact_path="model", allow_empty=True)
    )
    if promote:
        loopline.registry.transition_stage(MODEL, made.version, "Production")
    return made.version
