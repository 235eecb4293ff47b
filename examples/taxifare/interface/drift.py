"""Whether a month still looks like what the model in Production learned from, errors included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

import loopline
from loopline import lifecycle, registry
from loopline.models import pyfunc
from taxifare import params
from taxifare.ml_logic.boroughs import borough_of
from taxifare.ml_logic.data import Chunk, chunk_at, chunks, load, source

if TYPE_CHECKING:
    from loopline.lifecycle import DriftReport

__all__ = ["watch_drift", "worse_by"]


def watch_drift(
    first_row: int, *, name: str = params.MODEL_NAME, data: str | None = None
) -> DriftReport | None:
    """Compare a month with the months that the model in Production learned from, and log it.

    Compared are what the model sees of the trips, what they cost, what it predicts and how far it
    is off.

    Returns:
        The report, or None when no version is in Production.
    """
    champion = registry.get_production(name)
    if champion is None:
        return None
    chunk = chunk_at(first_row, data)
    begin, end = (int(champion.params[key]) for key in ("first_row", "next_row"))
    learned = [each for each in chunks(data) if begin <= each.first_row < end]
    model = pyfunc.load_model(f"models:/{name}/{champion.version}")
    report = lifecycle.drift(_look(model, [chunk], data), _look(model, learned, data))

    loopline.set_experiment(params.EXPERIMENT)
    with loopline.start_run(run_name=f"drift in {chunk.month}"):
        loopline.log_input(source(data).dataset(chunk.month), context="evaluation")
        loopline.set_tags({"data.origin": source(data).origin, "drift": report.sentence})
        loopline.log_params({"month": chunk.month, "champion": champion.version})
        lifecycle.log_drift(report)
    months = " + ".join(each.month for each in learned)
    print(f"{chunk.month}, against {months}, which v{champion.version} learned: {report.sentence}")
    return report


def worse_by(score: float | None, *, name: str = params.MODEL_NAME) -> float | None:
    """Tell by which part the error lies above that of the promotion: 0.2 is 20 % worse.

    Returns:
        None when there is no score, or no promotion by a decision to compare it with.
    """
    champion = registry.get_production(name)
    if score is None or champion is None:
        return None
    promoted = lifecycle.list_decisions(name, stage="Production", status="promoted")
    then = (d.decision.score for d in promoted if d.decision.challenger == champion.version)
    before = next(then, None)
    return score / before - 1 if before else None


def _look(model: pyfunc.PyFuncModel, months: list[Chunk], data: str | None) -> pd.DataFrame:
    """Put together what is compared of some months, one row a trip."""
    parts = [load(chunk, data) for chunk in months]
    features = pd.concat([part.features for part in parts], ignore_index=True)
    fares = pd.concat([part.fares for part in parts], ignore_index=True)
    predicted = model.predict(features).reshape(len(features))
    # Zones are numbers without an order; boroughs are few enough to be compared one by one.
    return features.drop(columns=["pickup_zone", "dropoff_zone"]).assign(
        pickup_borough=borough_of(features["pickup_zone"]),
        dropoff_borough=borough_of(features["dropoff_zone"]),
        fare=fares,
        prediction=predicted,
        error=fares - predicted,
    )
