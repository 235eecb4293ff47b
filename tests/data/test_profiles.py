"""What a profile says of each column is true, and stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import loopline
from loopline.data.profile import describe_table
from loopline.records.tracking import Dataset, ValueCount

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_a_profile_says_of_each_column_what_it_holds(trips: pd.DataFrame) -> None:
    version = loopline.dataset(trips, name="trips")
    assert (version.rows, version.column_count, version.kind) == (6, 6, "table")
    assert version.columns["pickup"] == "timestamp[us]"

    fare = version.profile["fare"]
    assert (fare.type, fare.nulls, fare.min, fare.max) == ("double", 0, 2.5, 38.5)
    assert fare.mean == pytest.approx(trips["fare"].mean())
    assert fare.std == pytest.approx(trips["fare"].std(ddof=0))
    assert fare.quantiles == {
        f"{percent}%": pytest.approx(trips["fare"].quantile(percent / 100))
        for percent in (5, 25, 50, 75, 95)
    }
    assert version.profile["distance"].nulls == 1
    assert version.profile["passengers"].top == [ValueCount(value="1", count=4)]
    zone = version.profile["zone"]
    assert (zone.min, zone.max, zone.nulls, zone.distinct) == ("Astoria", "Harlem", 1, 3)
    assert zone.top == [ValueCount(value="Harlem", count=3)]
    hail = version.profile["is_street_hail"]
    assert hail.mean == pytest.approx(4 / 6)
    assert [item.value for item in hail.top] == ["true", "false"]
    pickup = version.profile["pickup"]
    assert (pickup.min, pickup.max) == ("2022-01-31T23:40:00", "2022-02-01T00:15:00")
    assert pickup.quantiles["50%"] == "2022-01-31T23:57:30"


def test_an_array_has_a_profile_of_each_of_its_columns() -> None:
    features = np.array([[1.5, 7.0], [2.25, np.nan], [12.0, 38.5]])
    version = loopline.dataset(features)
    assert (version.rows, version.column_count) == (3, 2)
    assert list(version.profile) == ["0", "1"]
    assert (version.profile["0"].min, version.profile["0"].max) == (1.5, 12.0)
    assert (version.profile["1"].nulls, version.profile["1"].mean) == (1, 22.75)

    fares = loopline.dataset(features.astype(">f4")[:, 0]).profile["array"]
    assert (fares.type, fares.min, fares.quantiles["50%"]) == ("float", 1.5, 2.25)
    split = loopline.dataset({"x": features, "y": np.array([True, False, True])}).profile
    assert list(split) == ["x[0]", "x[1]", "y"]
    assert [count.value for count in split["y"].top] == ["true", "false"]


def test_an_array_of_many_columns_has_profiles_of_the_first_hundred() -> None:
    version = loopline.dataset(np.arange(400.0).reshape(2, 200))
    assert (version.column_count, len(version.profile)) == (200, 100)
    assert version.profile["99"].max == 299.0


def test_pictures_have_one_profile_of_all_their_values() -> None:
    pictures = np.arange(3 * 256 * 256, dtype="u2").reshape(3, 256, 256)
    version = loopline.dataset(pictures)
    assert (version.rows, version.column_count, list(version.profile)) == (3, None, ["array"])
    pixel = version.profile["array"]
    assert (pixel.type, pixel.min, pixel.max) == ("uint16[256, 256]", 0, 65_535)
    assert pixel.mean == pytest.approx(pictures.mean())
    assert version.sampled_rows is None  # These are 196,608 values: all are looked at.
    assert pixel.quantiles["50%"] == pytest.approx(32_767.5)

    more = loopline.dataset(np.concatenate([pictures] * 4))
    assert more.sampled_rows is not None
    assert 100_000 <= more.sampled_rows <= 200_000  # Values, drawn evenly.
    assert more.profile["array"].max == 65_535
    assert more.profile["array"].quantiles["50%"] == pytest.approx(32_767.5, rel=0.05)


@pytest.mark.parametrize(
    ("array", "types"),
    [
        (np.array(["Harlem", "Bronx"]), ["string"]),
        (np.array(["Harlem", None], dtype=object), ["string"]),
        (np.array(["Harlem", "\ud800"]), ["string"]),
        (np.array([[1, None]], dtype=object), ["int64", "null"]),
        (np.array(["2022-01-01", "NaT"], dtype="M8[D]"), ["timestamp[s]"]),
        (np.ones(2, dtype="f2"), ["halffloat"]),
        (np.ones(2, dtype="g"), ["double"]),
        (np.array(5.0), ["double"]),
        (np.zeros((0, 1)), ["double"]),
        (np.zeros((2, 0)), []),
        (np.zeros((0, 2, 2)), ["float64[2, 2]"]),
        (np.array([1j]), []),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), []),
    ],
    ids=str,
)
def test_an_array_of_any_type_can_be_described(array: NDArray[Any], types: list[str]) -> None:
    assert [one.type for one in loopline.dataset(array).profile.values()] == types


def test_real_trips_have_the_numbers_that_pandas_finds(taxi_month: Path) -> None:
    version = loopline.dataset(taxi_month)
    trips = pd.read_parquet(taxi_month)
    assert version.rows == len(trips)
    for name in ("trip_distance", "fare_amount", "passenger_count"):
        found = version.profile[name]
        assert found.nulls == trips[name].isna().sum()
        assert (found.min, found.max) == (trips[name].min(), trips[name].max())
        assert found.mean == pytest.approx(trips[name].mean())
        assert found.std == pytest.approx(trips[name].std(ddof=0))
        assert found.quantiles["95%"] == pytest.approx(trips[name].quantile(0.95))
        counts = trips[name].value_counts()
        assert found.top[0].count == counts.iloc[0]


def test_infinities_and_gaps_are_counted_and_nothing_else_is_spoilt() -> None:
    fares = pd.DataFrame({"fare": [1.0, np.inf, -np.inf, np.nan, 3.0]})
    found = loopline.dataset(fares).profile["fare"]
    assert (found.nulls, found.infinite, found.mean) == (1, 2, 2.0)
    assert (found.min, found.max) == ("-Infinity", "Infinity")
    empty = loopline.dataset(pd.DataFrame({"fare": [np.nan]})).profile["fare"]
    assert (empty.nulls, empty.min, empty.mean, empty.quantiles) == (1, None, None, {})


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(2),
        pa.array([b"a", None]),
        pa.array([[1], None]),
        pa.array([{"a": 1}, None]),
        pa.array([1, None], pa.duration("ms")),
        pa.array([1, None], pa.time32("s")),
        pa.array([1, None], pa.date64()),
        pa.array([2**62, None], pa.timestamp("us")),
        pa.array([1.5, None], pa.float16()),
        pa.array(["a", None], pa.string_view()),
        pa.array([None, "a"]).dictionary_encode(),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    ],
    ids=lambda column: str(column.type),
)
def test_every_type_has_a_digest_and_a_profile_that_survives_the_store(column: pa.Array) -> None:
    version = loopline.dataset(pa.table({"column": column}))
    assert version.profile["column"].nulls == column.null_count
    assert msgspec.json.decode(msgspec.json.encode(version), type=Dataset) == version
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(version), type=Dataset) == version


def test_an_empty_table_is_described() -> None:
    version = loopline.dataset(pa.schema([("fare", pa.float64())]).empty_table())
    assert (version.rows, version.columns) == (0, {"fare": "double"})


def test_a_profile_stays_small_whatever_the_data_are() -> None:
    wide = pa.table({f"{'c' * 200}{i}": ["é" * 100_000, "\0"] for i in range(600)})
    version = loopline.dataset(wide)
    assert version.column_count == 600
    assert len(version.columns) == 500
    assert len(version.profile) == 100
    assert next(iter(version.profile.values())).max == "é" * 79 + "…"
    assert len(msgspec.json.encode(version)) < 300_000


def test_quantiles_of_long_tables_rest_on_an_even_sample_that_is_always_the_same() -> None:
    rows = 600_000
    fares = np.random.default_rng(7).gamma(2.0, 8.0, rows)
    table = pa.table({"fare": fares, "weekday": np.arange(rows) % 7})
    found = describe_table(table)
    again = describe_table(pa.concat_tables([table.slice(0, 123_457), table.slice(123_457)]))
    assert found.sampled_rows is not None
    assert 100_000 <= found.sampled_rows <= 200_000
    assert again.profile["fare"].quantiles == found.profile["fare"].quantiles
    assert found.profile["fare"].mean == pytest.approx(fares.mean())
    assert found.profile["fare"].max == fares.max()
    for name, value in found.profile["fare"].quantiles.items():
        rank = float((fares <= float(value)).mean())
        assert rank == pytest.approx(float(name[:-1]) / 100, abs=0.01)
    # A week is a rhythm that every fixed stride would catch or miss.
    for item in found.profile["weekday"].top:
        assert item.count == pytest.approx(rows / 7, rel=0.05)


def test_without_a_profile_no_value_is_recorded(trips: pd.DataFrame) -> None:
    version = loopline.dataset(trips, profile=False)
    assert version.profile == {}
    assert b"Harlem" not in msgspec.json.encode(version)


def test_a_sparse_column_is_what_it_stands_for() -> None:
    dense = pd.DataFrame({"tolls": [0.0, 0.0, 6.55]})
    sparse = dense.astype(pd.SparseDtype("float64", 0.0))
    assert loopline.dataset(sparse) == loopline.dataset(dense)


def test_numbers_at_the_end_of_floats_warn_nobody() -> None:
    found = loopline.dataset(pd.DataFrame({"fare": [1e308, -1e308, 1.7e308]})).profile["fare"]
    assert (found.min, found.max) == (-1e308, 1.7e308)
