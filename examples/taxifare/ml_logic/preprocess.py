"""Cleaning and features: which trips a model may learn from, and what it sees of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["COLUMNS", "FEATURES", "CleaningReport", "clean", "make_features", "sum_reports"]

#: The columns of TLC's green-taxi files that are used.
COLUMNS = (
    "lpep_pickup_datetime",
    "lpep_dropoff_datetime",
    "PULocationID",
    "DOLocationID",
    "passenger_count",
    "trip_distance",
    "fare_amount",
)

#: What a model sees of a trip, in this order. Nothing that is known only after it.
FEATURES = (
    "distance_miles",
    "hour",
    "weekday",
    "pickup_zone",
    "dropoff_zone",
    "passengers",
)


class CleaningReport(NamedTuple):
    """What cleaning did to some months.

    Attributes:
        rows: Trips before.
        kept: Trips after.
        dropped: How many went by each rule; a trip counts at the first rule it breaks.
        imputed: How many passenger counts were unknown and became 1.
    """

    rows: int
    kept: int
    dropped: dict[str, int]
    imputed: int

    def __str__(self) -> str:
        """Say it in a line."""
        why = ", ".join(f"{rule} {count:,}" for rule, count in self.dropped.items() if count)
        gone = self.rows - self.kept
        part = f"{100 * gone / max(self.rows, 1):.1f} %"
        return (
            f"{self.rows:,} trips, {gone:,} dropped ({part}{': ' + why if why else ''}), "
            f"{self.imputed:,} passenger counts imputed"
        )


def clean(trips: pd.DataFrame, month: str) -> tuple[pd.DataFrame, CleaningReport]:
    """Keep the trips that can be true, and take an unknown passenger count as 1.

    Kept are fares of 1 to 150 dollars, distances between 0 and 100 miles, durations of 1 minute
    to 3 hours, trips that begin in their month, and zones that are known.

    Args:
        trips: With ``COLUMNS``, as TLC publishes them.
        month: The month they should be of, such as ``"2022-03"``.
    """
    pickup = trips["lpep_pickup_datetime"]
    seconds = (trips["lpep_dropoff_datetime"] - pickup).dt.total_seconds()
    start = pd.Timestamp(f"{month}-01")
    # A comparison with a missing value is False: such a trip breaks the rule.
    rules = {
        "fare": trips["fare_amount"].between(1, 150),
        "distance": trips["trip_distance"].between(0, 100, inclusive="neither"),
        "duration": seconds.between(60, 3 * 3600),
        "month": (pickup >= start) & (pickup < start + pd.DateOffset(months=1)),
        "zone": trips["PULocationID"].notna() & trips["DOLocationID"].notna(),
    }
    alive = np.ones(len(trips), dtype=bool)
    dropped = {}
    for rule, holds in rules.items():
        obeys = holds.to_numpy(dtype=bool)
        dropped[rule] = int((alive & ~obeys).sum())
        alive &= obeys
    kept = trips[alive].copy()
    imputed = int(kept["passenger_count"].isna().sum())
    kept["passenger_count"] = kept["passenger_count"].fillna(1)
    return kept, CleaningReport(len(trips), len(kept), dropped, imputed)


def make_features(trips: pd.DataFrame) -> pd.DataFrame:
    """Make what a model sees: one row a trip, ``FEATURES`` as columns of float64."""
    pickup = trips["lpep_pickup_datetime"]
    columns = (
        trips["trip_distance"],
        pickup.dt.hour,
        pickup.dt.day_of_week,
        trips["PULocationID"],
        trips["DOLocationID"],
        trips["passenger_count"].fillna(1),
    )
    named = zip(FEATURES, columns, strict=True)
    return pd.DataFrame({name: column.astype("float64") for name, column in named})


def sum_reports(reports: list[CleaningReport]) -> CleaningReport:
    """Add up the reports of several months."""
    rules = reports[0].dropped if reports else {}
    return CleaningReport(
        rows=sum(report.rows for report in reports),
        kept=sum(report.kept for report in reports),
        dropped={rule: sum(report.dropped[rule] for report in reports) for rule in rules},
        imputed=sum(report.imputed for report in reports),
    )
