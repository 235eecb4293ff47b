"""A home for each test, a handful of trips, and the certainty that nothing failed in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import loopline
from loopline.backend.recorder import close_recorders
from loopline.integrations import guard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.tracking import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; afterwards every hook is undone."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.chdir(tmp_path)
    loopline.set_tracking_uri(tmp_path / ".loopline")
    loopline.set_experiment("wagoncab taxifare")
    yield tmp_path
    loopline.autolog(disable=True)
    while loopline.active_run() is not None:
        loopline.end_run()
    close_recorders()
    loopline.set_tracking_uri(None)


@pytest.fixture(autouse=True)
def troubles() -> Iterator[list[str]]:
    """What could not be logged: a test that expects any takes them off this list."""
    guard.recent.clear()
    expected: list[str] = []
    yield expected
    assert [text for text in guard.recent if text not in expected] == []


@pytest.fixture(scope="session")
def trips() -> pd.DataFrame:
    """Sixty trips with numbers a fare model asks for."""
    rng = np.random.default_rng(2023)
    return pd.DataFrame(
        {
            "trip_distance": rng.uniform(0.5, 20.0, 60).round(2),
            "pickup_hour": rng.integers(0, 24, 60).astype(float),
        }
    )


@pytest.fixture(scope="session")
def fares(trips: pd.DataFrame) -> pd.Series[float]:
    """What the trips cost, in dollars, shape (60,)."""
    fares: pd.Series[float] = (3.0 + 2.5 * trips["trip_distance"]).rename("fare_amount")
    return fares


@pytest.fixture
def runs() -> Runs:
    """What was logged so far."""
    return Runs()


class Runs:
    """Reads back what a test logged."""

    def all(self) -> list[Run]:
        """Return every run, the oldest first."""
        found: list[Run] = loopline.search_runs(output_format="list", order_by=["start_time"])
        return found

    def only(self) -> Run:
        """Return the one run there is."""
        (run,) = self.all()
        return run

    def files(self, run: Run) -> set[str]:
        """Name what lies at the top of a run."""
        return {artifact.path for artifact in loopline.list_artifacts(run.run_id)}

    def with_data(self, name: str) -> list[str]:
        """Return the ids of runs that read a data version of this name."""
        found = loopline.search_runs(
            filter_string=f"datasets.name = '{name}'", output_format="list"
        )
        return [run.run_id for run in found]
