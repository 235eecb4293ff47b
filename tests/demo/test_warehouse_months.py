"""Months of trips in a warehouse are the months of the files, row by row, and say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pyarrow import parquet

from loopline.demo import TAXI_MONTHS, TaxiData, find_taxi_data
from loopline.demo.simulated_city import make_month
from loopline.demo.warehouse_months import TABLES, load_months
from loopline.errors import NotFoundError
from loopline.warehouses import warehouse

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("lpep_pickup_datetime", "PULocationID", "passenger_count", "fare_amount")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TaxiData:
    """The first trips of each month of the simulated city."""
    folder = tmp_path_factory.mktemp("months")
    for number, month in enumerate(TAXI_MONTHS):
        path = folder / f"green_tripdata_{month}.parquet"
        parquet.write_table(make_month(month).slice(0, 100 + number), path)
    return TaxiData(folder, is_simulated=True)


def test_a_warehouse_has_the_months_of_the_files(files: TaxiData, tmp_path: Path) -> None:
    loaded = load_months(files, tmp_path / "taxi.duckdb")
    assert loaded.months == TAXI_MONTHS
    assert loaded.origin == "simulated city"
    for number, month in enumerate(TAXI_MONTHS):
        assert loaded.count_rows(month) == 100 + number
        pd.testing.assert_frame_equal(loaded.read(month, COLUMNS), files.read(month, COLUMNS))
    version = loaded.dataset("2022-03")
    assert version.rows == 102
    assert version.name == "green taxi 2022-03 (simulated city)"
    assert version.digest != loaded.dataset("2023-01").digest


def test_it_is_found_again_by_its_address_and_loaded_twice_it_is_the_same(
    files: TaxiData, tmp_path: Path
) -> None:
    first = load_months(files, tmp_path / "taxi.duckdb")
    digest = first.dataset("2022-03").digest
    load_months(files, tmp_path / "taxi.duckdb")
    again = find_taxi_data(first.address)
    assert again.is_simulated
    assert again.count_rows("2022-01") == 100
    assert again.dataset("2022-03").digest == digest
    assert warehouse(first.address).tables() == [TABLES[True]]


def test_a_warehouse_without_trips_says_how_to_load_some(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="demo taxifare --warehouse"):
        find_taxi_data(f"duckdb://{tmp_path / 'empty.duckdb'}")
