"""A city with known rules: fares by distance and borough, raised by 30 % in July."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import loopline.sklearn
from loopline.lifecycle import Gain, Loop, Policy, Slices

if TYPE_CHECKING:
    from loopline.records.policies import Gate

NAME = "cityfare"
TRIPS_A_MONTH = 400
RAISED = pd.Timestamp("2022-07-01")


def trips(*, raised: pd.Timestamp = RAISED) -> pd.DataFrame:
    """A year of trips: 3 dollars and 2 a mile, 30 % more from a day on, and 1 of noise."""
    random = np.random.default_rng(20220101)
    months = pd.date_range("2022-01-01", periods=12, freq="MS")
    starts = np.repeat(months.values, TRIPS_A_MONTH)
    at = starts + pd.to_timedelta(random.integers(0, 27 * 24 * 60, size=len(starts)), unit="min")
    miles = random.gamma(2, 2, size=len(starts))
    fare = (3 + 2 * miles) * np.where(at < raised, 1.0, 1.3)
    return pd.DataFrame(
        {
            "at": at,
            "miles": miles,
            "borough": random.choice(["Bronx", "Queens"], size=len(starts)),
            "fare": fare + random.normal(0, 1, size=len(starts)),
        }
    ).sort_values("at", ignore_index=True)


def train(rows: pd.DataFrame) -> None:
    """Train a line through the fares, and register it."""
    model = LinearRegression().fit(rows[["miles"]], rows["fare"])
    loopline.sklearn.log_model(
        model, "model", input_example=rows[["miles"]].head(2), registered_model_name=NAME
    )


def policy(*gates: Gate, **more: object) -> Policy:
    return Policy(
        model=NAME,
        target="fare",
        features=["miles"],
        window="month",
        train_window="2 months",
        gates=list(gates) or [Gain(), Slices(by="borough")],
        **more,  # type: ignore[arg-type]
    )


def loop(*gates: Gate, rows: pd.DataFrame | None = None, **more: object) -> Loop:
    return Loop(
        policy(*gates, **more), rows=trips() if rows is None else rows, train=train, order_by="at"
    )
