"""A mistake of the kind that happens: a model that learned from kilometres, and is given miles."""

from __future__ import annotations

import loopline
from loopline import registry
from taxifare import params
from taxifare.ml_logic.data import chunk_of, load, source
from taxifare.ml_logic.models import model_module

__all__ = ["train_mistaken"]

KILOMETRES = 1.609344
#: Enough for a model that looks healthy while it trains.
TRIPS = 20_000


def train_mistaken(
    month: str,
    *,
    model: str = params.MODEL,
    name: str = params.MODEL_NAME,
    data: str | None = None,
) -> int:
    """Train on some trips of a month, distances in the wrong unit; return the new version."""
    trips, origin = load(chunk_of(month, data), data), source(data).origin
    features, fares = trips.features.head(TRIPS), trips.fares.head(TRIPS)
    features = features.assign(distance_miles=features["distance_miles"] * KILOMETRES)
    maker = model_module(model)

    loopline.set_experiment(params.EXPERIMENT)
    with loopline.start_run(run_name=f"train on kilometres of {month}"):
        loopline.set_tags({"data.origin": origin, "mistake": "kilometres instead of miles"})
        loopline.log_params({**maker.params(), "months": month, "rows": len(features)})
        loopline.log_input(source(data).dataset(month), context="training")
        info = maker.log(maker.fit(features, fares), input_example=features.head(5))
    version = registry.register_model(
        info.model_uri,
        name,
        description=f"{model}, trained on kilometres of {month} by mistake ({origin})",
        tags={"data.origin": origin, "months": month},
    )
    return version.version
