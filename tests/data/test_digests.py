"""Equal data have equal digests, whoever holds them; other data have others."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from decimal import Decimal
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loopline
from loopline.data.digest import table_digest
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

polars: Any = import_module("polars")
duckdb: Any = import_module("duckdb")

CELLS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=True),
        st.none() | st.text(max_size=5),
        st.none() | st.booleans(),
        st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3),
    ),
    min_size=1,
    max_size=12,
)
SCHEMA = pa.schema(
    [
        ("zone_id", pa.int64()),
        ("fare", pa.float64()),
        ("zone", pa.string()),
        ("tip", pa.bool_()),
        ("stops", pa.list_(pa.int64())),
    ]
)


def table_of(rows: list[Any]) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def digest(data: object) -> str:
    return loopline.dataset(data, profile=False).digest


def test_a_table_has_one_digest_in_pandas_arrow_polars_and_duckdb(trips: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(trips, preserve_index=False)
    frame = polars.from_pandas(trips)
    duckdb.register("trips", table)
    holders = {
        "pandas": trips,
        "pandas on Arrow": trips.convert_dtypes(dtype_backend="pyarrow"),
        "category": trips.astype({"zone": "category"}),
        "narrow": trips.astype({"passengers": "int8"}),
        "arrow": table,
        "batch": table.to_batches()[0],
        "polars": frame,
        "lazy": frame.lazy(),
        "polars category": frame.with_columns(polars.col("zone").cast(polars.Categorical)),
        "duckdb": duckdb.sql("SELECT * FROM trips"),
        "mapping": {name: trips[name] for name in trips},
    }
    digests = {name: digest(data) for name, data in holders.items()}
    assert set(digests.values()) == {digests["arrow"]}, digests


def test_real_trips_have_one_digest_in_every_library(taxi_month: Path) -> None:
    path = str(taxi_month)
    from_pandas = digest(pd.read_parquet(path))
    assert digest(polars.read_parquet(path)) == from_pandas
    assert digest(duckdb.read_parquet(path)) == from_pandas


def test_another_process_finds_the_same_digest(trips: pd.DataFrame, tmp_path: Path) -> None:
    trips["tags"] = pd.Series([{"night", "rain", "late"}, 1, "x", None, (1, 2), 2.5], dtype=object)
    trips.to_pickle(tmp_path / "trips.pkl")
    script = (
        "import sys, pandas, loopline\n"
        "print(loopline.dataset(pandas.read_pickle(sys.argv[1]), profile=False).digest)"
    )
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "trips.pkl"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == digest(trips)


@given(rows=CELLS, cuts=st.lists(st.integers(0, 12), max_size=3))
def test_chunks_do_not_matter(rows: list[Any], cuts: list[int]) -> None:
    table = table_of(rows)
    edges = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    pieces = [table.slice(a, b - a) for a, b in pairwise(edges)]
    assert table_digest(pa.concat_tables(pieces)) == table_digest(table)


@given(rows=CELLS, other=CELLS)
def test_tables_have_one_digest_only_when_they_are_equal(rows: list[Any], other: list[Any]) -> None:
    def plain(some: list[Any]) -> list[list[Any]]:
        return [
            [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row]
            for row in some
        ]

    same = plain(rows) == plain(other)
    assert (table_digest(table_of(rows)) == table_digest(table_of(other))) == same


@pytest.mark.parametrize(
    "change",
    [
        lambda trips: trips[::-1],
        lambda trips: trips.rename(columns={"fare": "price"}),
        lambda trips: trips[[*trips.columns[1:], trips.columns[0]]],
        lambda trips: trips.assign(fare=trips["fare"] + 1e-12),
        lambda trips: trips.assign(zone=trips["zone"].fillna("")),
        lambda trips: trips.assign(passengers=trips["passengers"].astype(str)),
        lambda trips: trips.assign(pickup=trips["pickup"].dt.tz_localize("UTC")),
        lambda trips: trips.set_index("zone"),
        lambda trips: trips.head(5),
    ],
)
def test_every_change_of_the_data_shows(trips: pd.DataFrame, change: Any) -> None:  # noqa: ANN401
    assert digest(change(trips)) != digest(trips)


def test_labels_of_rows_count_only_when_they_say_something(trips: pd.DataFrame) -> None:
    by_distance = trips[trips["fare"] > 7]
    assert digest(by_distance) == digest(by_distance.reset_index(drop=True))
    named = trips.set_index("pickup")
    assert digest(named) == digest(trips)  # The index is the first column, as it was.


def test_whole_numbers_with_gaps_are_what_pandas_makes_of_them() -> None:
    table = pa.table({"passengers": pa.array([1, None, 2], pa.int64())})
    assert digest(table) == digest(table.to_pandas())


def test_numbers_that_floats_cannot_hold_stay_apart() -> None:
    a, b = (pa.table({"id": pa.array([2**53 + i], pa.int64())}) for i in (1, 2))
    assert digest(a) != digest(b)
    wide = pa.table({"id": pa.array([2**64 - 1, 0], pa.uint64())})
    assert digest(wide) != digest(pa.table({"id": pa.array([-1, 0], pa.int64())}))


def test_units_of_time_do_not_matter_and_instants_are_no_clock_readings() -> None:
    times = pa.array([0, 1_643_672_400_000_000], pa.timestamp("us"))
    same = [pa.table({"at": times.cast(pa.timestamp(unit))}) for unit in ("s", "ms", "us", "ns")]
    assert len({digest(table) for table in same}) == 1
    fine = pa.table({"at": pa.array([0, 1_643_672_400_000_000_001], pa.timestamp("ns"))})
    zoned = pa.table({"at": times.cast(pa.timestamp("us", "UTC"))})
    days = pa.table({"at": times.cast(pa.timestamp("s")).cast(pa.date32(), safe=False)})
    assert len({digest(table) for table in (same[0], fine, zoned, days)}) == 4


def test_decimals_are_compared_by_value() -> None:
    short = pa.table({"fare": pa.array([Decimal("7.5"), None], pa.decimal128(5, 1))})
    long = pa.table({"fare": pa.array([Decimal("7.500"), None], pa.decimal128(9, 3))})
    assert digest(short) == digest(long)


def test_what_stands_under_a_gap_does_not_count() -> None:
    hidden = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 99], pa.int64()).buffers()[1]]
    )
    assert digest(pa.table({"n": hidden})) == digest(pa.table({"n": pa.array([1, None])}))


def test_an_array_is_its_type_shape_and_values() -> None:
    fares = np.arange(12, dtype=np.float64).reshape(3, 4)
    assert digest(np.asfortranarray(fares)) == digest(fares)
    assert digest(fares.astype(">f8")) == digest(fares)
    assert digest(fares[:, ::2].copy()) == digest(fares[:, ::2])
    others = [fares.astype("f4"), fares.reshape(4, 3), fares + 1, fares.ravel()]
    assert len({digest(array) for array in [fares, *others]}) == 5


def test_arrays_under_names_are_one_data_version() -> None:
    split = {"x": np.ones((3, 2)), "y": np.zeros(3)}
    version = loopline.dataset(split, name="training split")
    assert version.kind == "array"
    assert version.rows == 3
    assert version.columns == {"x": "float64[2]", "y": "float64[]"}
    assert digest(dict(reversed(split.items()))) == version.digest
    assert digest({"x": split["x"], "z": split["y"]}) != version.digest


def test_a_memory_mapped_array_is_hashed_piece_by_piece(tmp_path: Path) -> None:
    fares = np.arange(5_000_000, dtype=np.float32)
    np.save(tmp_path / "fares.npy", fares)
    assert digest(np.load(tmp_path / "fares.npy", mmap_mode="r")) == digest(fares)


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
import loopline
try:
    loopline.dataset({"fare": [1.0]})
except loopline.errors.MissingExtraError as error:
    print(error)
"""


def test_a_core_install_says_which_extra_describes_columns() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, check=True
    )
    assert 'needs numpy. Install it with: pip install "loopline[data]"' in ran.stdout


def test_objects_without_content_are_refused_by_the_columns_name(trips: pd.DataFrame) -> None:
    trips["driver"] = pd.Series([object()] * 6, dtype=object)
    with pytest.raises(InvalidInputError, match=r"driver.*Take the column out"):
        loopline.dataset(trips)


def test_data_of_another_kind_are_refused_with_the_next_step() -> None:
    with pytest.raises(InvalidInputError, match="write it to a file"):
        loopline.dataset(3.5)
    reader = pa.RecordBatchReader.from_batches(pa.schema([]), [])
    with pytest.raises(InvalidInputError, match="read_all"):
        loopline.dataset(reader)
    with pytest.raises(InvalidInputError, match="connection="):
        loopline.dataset("SELECT fare FROM trips")


def test_the_digest_of_a_table_is_the_same_in_the_next_release(trips: pd.DataFrame) -> None:
    # Written down: a change here makes every data version that anybody has logged another one.
    table = pa.Table.from_pandas(trips, preserve_index=False)
    assert table_digest(table) == (
        "37d9059a643cf64c1059e0c6959b9cf60af9a3b3ef494a666c85f2a883eeebc8"
    )
