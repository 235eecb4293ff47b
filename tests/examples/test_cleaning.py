"""Cleaning drops the trips that cannot be true, says how many and why, and keeps the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxifare.ml_logic.preprocess import COLUMNS, FEATURES, clean, make_features, sum_reports

GOOD: dict[str, Any] = {
    "lpep_pickup_datetime": pd.Timestamp("2022-03-04 17:30"),
    "lpep_dropoff_datetime": pd.Timestamp("2022-03-04 17:42"),
    "PULocationID": 74,
    "DOLocationID": 42,
    "passenger_count": 1.0,
    "trip_distance": 2.1,
    "fare_amount": 10.5,
}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"fare_amount": 429_490.0}, "fare"),
        ({"fare_amount": -10.5}, "fare"),
        ({"fare_amount": 0.99}, "fare"),
        ({"fare_amount": None}, "fare"),
        ({"trip_distance": 0.0}, "distance"),
        ({"trip_distance": 100.0}, "distance"),
        ({"trip_distance": None}, "distance"),
        ({"lpep_dropoff_datetime": pd.Timestamp("2022-03-04 17:30:59")}, "duration"),
        ({"lpep_dropoff_datetime": pd.Timestamp("2022-03-05 17:29")}, "duration"),
        ({"lpep_dropoff_datetime": pd.NaT}, "duration"),
        ({"lpep_pickup_datetime": pd.NaT}, "duration"),
        (
            {
                "lpep_pickup_datetime": pd.Timestamp("2008-12-31 23:50"),
                "lpep_dropoff_datetime": pd.Timestamp("2009-01-01 00:10"),
            },
            "month",
        ),
        (
            {
                "lpep_pickup_datetime": pd.Timestamp("2022-04-01 00:00"),
                "lpep_dropoff_datetime": pd.Timestamp("2022-04-01 00:10"),
            },
            "month",
        ),
        ({"PULocationID": None}, "zone"),
    ],
)
def test_a_trip_that_cannot_be_true_goes_and_its_rule_is_counted(
    change: dict[str, Any], rule: str
) -> None:
    kept, report = clean(_trips({}, change), "2022-03")
    assert len(kept) == 1
    assert {name: count for name, count in report.dropped.items() if count} == {rule: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"fare_amount": 1.0},
        {"fare_amount": 150.0},
        {"trip_distance": 0.01},
        {"lpep_dropoff_datetime": pd.Timestamp("2022-03-04 17:31")},
        {"lpep_dropoff_datetime": pd.Timestamp("2022-03-04 20:30")},
        {"lpep_pickup_datetime": pd.Timestamp("2022-03-04 17:30")},
    ],
)
def test_a_trip_just_inside_the_rules_stays(change: dict[str, Any]) -> None:
    kept, report = clean(_trips(change), "2022-03")
    assert len(kept) == report.kept == 1


def test_an_unknown_passenger_count_becomes_one_and_is_counted() -> None:
    kept, report = clean(_trips({"passenger_count": None}, {}), "2022-03")
    assert kept["passenger_count"].tolist() == [1.0, 1.0]
    assert report.imputed == 1


def test_a_trip_that_breaks_two_rules_is_dropped_once() -> None:
    _, report = clean(_trips({"fare_amount": -1.0, "trip_distance": 0.0}), "2022-03")
    assert sum(report.dropped.values()) == 1


def test_december_ends_with_the_year() -> None:
    eve = {
        "lpep_pickup_datetime": pd.Timestamp("2022-12-31 23:59"),
        "lpep_dropoff_datetime": pd.Timestamp("2023-01-01 00:20"),
    }
    assert clean(_trips(eve), "2022-12")[1].kept == 1
    assert clean(_trips(eve), "2023-01")[1].kept == 0


def test_the_report_reads_like_a_sentence() -> None:
    _, report = clean(_trips({}, {"fare_amount": 429_490.0}, {"passenger_count": None}), "2022-03")
    assert str(report) == ("3 trips, 1 dropped (33.3 %: fare 1), 1 passenger counts imputed")


def test_reports_of_months_add_up() -> None:
    one = clean(_trips({}, {"fare_amount": -3.0}), "2022-03")[1]
    two = clean(_trips({"passenger_count": None}, {"trip_distance": 0.0}), "2022-03")[1]
    total = sum_reports([one, two])
    assert (total.rows, total.kept, total.imputed) == (4, 2, 1)
    assert sum(total.dropped.values()) == 2


def test_no_trips_give_no_trips() -> None:
    kept, report = clean(_trips({}).iloc[:0], "2022-03")
    assert len(kept) == report.rows == 0
    assert "0 trips" in str(report)


def test_features_are_what_is_known_before_the_ride() -> None:
    features = make_features(_trips({}))
    assert tuple(features.columns) == FEATURES
    assert features.iloc[0].tolist() == [2.1, 17.0, 4.0, 74.0, 42.0, 1.0]  # A Friday.
    assert set(features.dtypes) == {np.dtype("float64")}


@settings(max_examples=50)
@given(
    fares=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
    miles=st.floats(allow_nan=True, allow_infinity=True),
)
def test_every_trip_is_kept_or_counted(fares: list[float], miles: float) -> None:
    trips = _trips(*({"fare_amount": fare, "trip_distance": miles} for fare in fares))
    kept, report = clean(trips, "2022-03")
    assert report.rows == len(kept) + sum(report.dropped.values())
    assert kept["fare_amount"].between(1, 150).all()


def test_a_real_dirty_month_loses_its_absurd_fare() -> None:
    """August 2018 of the yellow sample has a fare of 429,490 dollars, and trips of other months."""
    sample = Path(__file__).parents[3] / "shared/data/taxi/yellow/yellow_sample_2018.parquet"
    if sample.exists():
        trips = pd.read_parquet(sample)
        trips = trips[trips["file_month"].astype(str).str.contains("2018-08")]
        assert len(trips) == 10_000
        trips = trips.rename(
            columns={
                "pickup_datetime": "lpep_pickup_datetime",
                "dropoff_datetime": "lpep_dropoff_datetime",
                "pickup_location_id": "PULocationID",
                "dropoff_location_id": "DOLocationID",
            }
        )
    else:
        from loopline.demo.simulated_city import make_month

        trips = make_month("2018-08").to_pandas()
    assert trips["fare_amount"].max() > 429_000

    kept, report = clean(trips[list(COLUMNS)], "2018-08")
    assert kept["fare_amount"].max() <= 150
    assert report.dropped["fare"] >= 1
    assert 0.9 < report.kept / report.rows < 1


def _trips(*changes: dict[str, Any]) -> pd.DataFrame:
    """Make good trips, each with a change."""
    return pd.DataFrame([{**GOOD, **change} for change in changes])
