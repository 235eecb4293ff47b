"""DuckDB as the warehouse: real files, real other processes."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import loopline
from loopline.errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TableSchemaError,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_rows_that_go_in_come_out_as_arrow_pandas_and_a_data_version(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    assert taxi.append("trips", trips) == 6
    found = taxi.query("SELECT * FROM trips WHERE fare_amount > $least ORDER BY ALL", {"least": 8})
    assert found.to_pandas()["fare_amount"].tolist() == [9.5, 12.0, 38.5]
    assert pa.table(found).num_rows == len(found) == 3

    version = found.dataset(name="dear trips")
    dear = trips[trips["fare_amount"] > 8].sort_values("pickup_datetime")
    assert version.digest == loopline.dataset(dear).digest
    assert version.source.startswith("duckdb:///")
    assert version.source.endswith("ORDER BY ALL")


def test_the_default_is_a_file_in_the_home(home: Path, trips: pd.DataFrame) -> None:
    loopline.warehouse().append("trips", trips)
    assert loopline.warehouse(f"duckdb://{home}/warehouse.duckdb").tables() == ["trips"]


def test_a_table_is_read_in_the_order_of_an_index_in_chunks(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)
    batches = list(
        taxi.read(
            "trips", ["fare_amount"], "zone <> $not", params={"not": "Bronx"},
            index="pickup_datetime", chunk_size=2,
        )
    )  # fmt: skip
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    assert pa.Table.from_batches(batches)["fare_amount"].to_pylist() == [9.5, 2.5, 8.0, 7.0, 12.0]
    with pytest.raises(NotFoundError, match="Did you mean 'pickup_datetime'"):
        taxi.read("trips", index="pickup_datetim")
    with pytest.raises(InvalidInputError, match="at least one row"):
        taxi.read("trips", chunk_size=0)


def test_what_does_not_fit_is_told_column_by_column_and_changes_nothing(
    trips: pd.DataFrame,
) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)
    broken = trips.assign(
        fare_amount=["7.0", "9.5", "n/a", "8", "38", "12"], passengers=[1, 2, 1, 1.5, 5, 1], tip=1.0
    ).drop(columns="zone")
    for write in (taxi.append, taxi.replace):
        with pytest.raises(TableSchemaError) as told:
            write("trips", broken)
        assert told.value.problems == [
            "column zone: is missing (it was string)",
            "column passengers: was int64, came as double; first bad row 3: 1.5",
            "column fare_amount: was double, came as large_string; first bad row 2: 'n/a'",
            "column tip: is new (double), the table does not have it",
        ]
    assert taxi.query("SELECT count(*) AS n FROM trips").rows() == [{"n": 6}]


def test_types_that_lose_nothing_fit(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)
    other = trips.assign(
        passengers=trips["passengers"].astype(float),
        zone=trips["zone"].astype("category"),
        fare_amount=trips["fare_amount"].astype("float32"),
    )[["zone", "fare_amount", "passengers", "distance", "pickup_datetime"]]
    assert taxi.append("trips", other) == 6
    assert taxi.schema("trips")["passengers"] == "int64"
    assert taxi.query("SELECT count(*) n FROM (SELECT DISTINCT * FROM trips)").rows() == [{"n": 6}]


def test_replacing_is_all_or_nothing(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)

    def breaks_off() -> pa.RecordBatchReader:
        table = pa.Table.from_pandas(trips)

        def batches() -> object:
            yield table.to_batches()[0]
            raise OSError("the disk of the sender is gone")

        return pa.RecordBatchReader.from_batches(table.schema, batches())

    with pytest.raises(OSError, match="gone"):
        taxi.replace("trips", breaks_off())
    with pytest.raises(OSError, match="gone"):
        taxi.append("trips", breaks_off())
    assert taxi.query("SELECT count(*) n FROM trips").rows() == [{"n": 6}]
    assert taxi.replace("trips", trips[:2]) == 2
    assert taxi.replace("trips", {"other": [1]}, check=False) == 1
    assert taxi.schema("trips") == {"other": "int64"}


def test_errors_name_what_there_is(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)
    taxi.append("city.zones", {"zone": ["Harlem"]})
    assert taxi.tables() == ["city.zones", "trips"]
    with pytest.raises(NotFoundError, match="Did you mean 'trips'"):
        taxi.schema("trip")
    with pytest.raises(InvalidInputError, match="fare_amount"):
        taxi.query("SELECT fare FROM trips")
    with pytest.raises(InvalidInputError, match="Give one SELECT"):
        taxi.query("DROP TABLE IF EXISTS nothing")
    with pytest.raises(InvalidInputError, match="mapping of columns"):
        taxi.append("trips", object())
    with pytest.raises(InvalidInputError, match="no warehouse"):
        loopline.warehouse("ftp://trips")


def test_reading_and_writing_one_file_at_once_needs_to_be_said(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    taxi.append("trips", trips)
    batches = taxi.read("trips", chunk_size=2)
    next(batches)
    with pytest.raises(ConflictError, match="writing"):
        taxi.append("copy", trips)
    del batches

    with taxi.writing():
        for batch in taxi.read("trips", chunk_size=2):
            taxi.append("copy", batch)
    assert taxi.query("SELECT count(*) n FROM copy").rows() == [{"n": 6}]


def test_threads_take_turns(trips: pd.DataFrame) -> None:
    taxi = loopline.warehouse()
    threads = [threading.Thread(target=taxi.append, args=("trips", trips)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        taxi.tables()
    for thread in threads:
        thread.join()
    assert taxi.query("SELECT count(*) n FROM trips").rows() == [{"n": 48}]


def test_another_process_is_waited_for_and_named(
    tmp_path: Path, trips: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "taxi.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(BackendUnavailableError, match="one process write, or several read"):
            loopline.warehouse(path, wait_s=0.1).append("trips", trips)

        closing = threading.Timer(1.5, other.stdin.close)
        closing.start()
        with caplog.at_level(logging.WARNING, "loopline.warehouse"):
            assert loopline.warehouse(path).append("trips", trips) == 6
        assert f"process {other.pid}" in caplog.text
