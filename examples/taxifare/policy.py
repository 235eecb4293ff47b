"""What decides over new versions: the gates, the parts of the rows they look at, and the alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline import lifecycle
from taxifare import params
from taxifare.ml_logic.boroughs import borough_of

if TYPE_CHECKING:
    import pandas as pd

    from loopline.lifecycle import Policy

__all__ = ["ALARM", "make_policy", "make_slices"]

#: The model counts as stale when its error lies so far above that of its promotion.
ALARM = 0.2


def make_policy(name: str = params.MODEL_NAME, stage: str = "Production") -> Policy:
    """Make the policy of a stage: better by 5 %, and worse in no hour and no borough."""
    return lifecycle.Policy(
        model=name,
        stage=stage,
        metric=params.METRIC,
        target="fare_amount",
        window="month",
        train_window=f"{params.MAX_CHUNKS} months",
        gates=[
            lifecycle.Gain(at_least=0.05),
            lifecycle.Slices(by="hour"),
            lifecycle.Slices(by="pickup_borough"),
        ],
        rollback=lifecycle.Rollback(at_most_worse=ALARM),
    )


def make_slices(features: pd.DataFrame) -> dict[str, pd.Series[str]]:
    """Tell the part of each trip that the gates look at, by the column that makes the parts."""
    return {
        "hour": features["hour"].astype("int64").astype(str),
        "pickup_borough": borough_of(features["pickup_zone"]),
    }
