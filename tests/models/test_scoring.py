"""Batch scoring: tables through a model, chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loopline
import loopline.sklearn
from loopline.backend.recorder import close_recorders
from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.flows.flow import Flow
from loopline.models.scoring import score

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.linear_model import LinearRegression

    trips = pd.DataFrame({"miles": np.arange(5.0)})
    path = tmp_path_factory.mktemp("models") / "model"
    fitted = LinearRegression().fit(trips, 3 + 2 * trips["miles"])
    loopline.sklearn.save_model(fitted, path, input_example=trips)
    return path


def trips(rows: int, first: int = 0) -> pd.DataFrame:
    miles = np.arange(first, first + rows, dtype=float)
    return pd.DataFrame({"trip": [f"t{int(m)}" for m in miles], "miles": miles})


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_every_row_is_scored_in_its_place_whatever_the_chunks(
    model: Path, tmp_path: Path, chunk_rows: int
) -> None:
    trips(30).to_parquet(tmp_path / "trips.parquet")
    steps: list[tuple[int, int]] = []
    found = score(
        model, tmp_path / "trips.parquet", tmp_path / "out.parquet", chunk_rows=chunk_rows,
        on_progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert found.rows == 30
    assert steps[-1] == (30, 30)
    assert table["trip"].tolist() == trips(30)["trip"].tolist()
    assert table["prediction"].tolist() == pytest.approx((3 + 2 * table["miles"]).tolist())


def test_a_folder_of_csv_becomes_one_csv_in_order_of_names(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    trips(4, 4).to_csv(tmp_path / "in" / "b.csv", index=False)
    trips(4).to_csv(tmp_path / "in" / "a.csv", index=False)
    score(model, tmp_path / "in", tmp_path / "out.csv", keep=["trip"], chunk_rows=3)
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["trip"].tolist() == [f"t{at}" for at in range(8)]
    assert list(table.columns) == ["trip", "prediction"]


def test_data_that_do_not_fit_leave_nothing_behind(model: Path, tmp_path: Path) -> None:
    data: Any = trips(5).drop(columns="miles")
    data.to_parquet(tmp_path / "trips.parquet")
    with pytest.raises(InvalidInputError, match=r"Rows 0 to 4: .*'miles'"):
        score(model, tmp_path / "trips.parquet", tmp_path / "out.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["trips.parquet"]
    with pytest.raises(NotFoundError):
        score(model, tmp_path / "none", tmp_path / "out.parquet")
    with pytest.raises(AlreadyExistsError):
        score(model, tmp_path / "trips.parquet", tmp_path / "trips.parquet")


def test_scoring_is_a_task_too(model: Path, tmp_path: Path) -> None:
    from loopline import tasks

    trips(5).to_parquet(tmp_path / "trips.parquet")
    loopline.set_tracking_uri(tmp_path / "home")
    with Flow("score") as flow:
        tasks.score(str(model), str(tmp_path / "trips.parquet"), str(tmp_path / "out.parquet"))
    try:
        assert flow.run().is_successful()
    finally:
        close_recorders()
        loopline.set_tracking_uri(None)
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 5
