"""The interface: ``preprocess``, ``train``, ``evaluate`` and ``pred``, each by ``first_row``.

``first_row`` counts the rows of all months joined in order; a chunk is a month.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

import loopline
from loopline import lifecycle, registry
from loopline.models import pyfunc
from taxifare import params
from taxifare.ml_logic.data import Chunk, chunk_at, chunks, chunks_from, load, source
from taxifare.ml_logic.models import model_module
from taxifare.ml_logic.preprocess import CleaningReport, make_features, sum_reports
from taxifare.policy import make_policy, make_slices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.lifecycle import Decision

__all__ = ["compare", "evaluate", "pred", "preprocess", "train", "train_on"]


def preprocess(first_row: int, *, data: str | None = None) -> CleaningReport:
    """Clean the chunks that ``train(first_row)`` learns from, and say what went and why."""
    reports = []
    for chunk in chunks_from(first_row, params.MAX_CHUNKS, data):
        report = load(chunk, data).report
        print(f"{chunk.month} ({source(data).origin}): {report}")
        reports.append(report)
    return sum_reports(reports)


def train(
    first_row: int,
    stage: str | None = None,
    *,
    model: str = params.MODEL,
    name: str = params.MODEL_NAME,
    data: str | None = None,
) -> float | None:
    """Train on the chunks from ``first_row``, two by default, and register the model.

    Args:
        first_row: Where the first of them begins.
        stage: Where the new version goes if the gates of ``policy.py`` let it: among others it
            must be at least 5 % better than the version there on the month that follows. Without
            a version there it goes by rule.
        model: ``"sklearn"`` or ``"keras"``.
        name: In the registry.
        data: Folder of the trips; found by itself when not given.

    Returns:
        The new version's fare error on the month that follows, in dollars, or None when no month
        follows.
    """
    learned = chunks_from(first_row, params.MAX_CHUNKS, data)
    version = train_on(learned, model=model, name=name, data=data)
    decision = compare(version, learned[-1].next_row, stage or "Production", name=name, data=data)
    if stage:
        lifecycle.promote(name, decision, stage=stage)
        print(decision.sentence)
    return decision.score


def evaluate(
    first_row: int,
    stage: str = "Production",
    *,
    name: str = params.MODEL_NAME,
    data: str | None = None,
) -> float | None:
    """Score the model in a stage on the chunk that begins at ``first_row``.

    Returns:
        Its fare error in dollars, or None, after saying so, when no version is in the stage.
    """
    chunk = chunk_at(first_row, data)
    trips = load(chunk, data)
    found = lifecycle.evaluate(name, trips.features, trips.fares, stage=stage, metric=params.METRIC)
    if found is None:
        print(f"{chunk.month}: no {stage} model of {name} yet")
        return None
    print(f"{chunk.month}: v{found.version} in {stage} is off by {found.score:.2f} dollars (RMSE)")
    return found.score


def pred(
    trips: pd.DataFrame, stage: str = "Production", *, name: str = params.MODEL_NAME
) -> NDArray[np.float64]:
    """Predict fares in dollars, for trips with the columns of TLC's files, shape (n,)."""
    model = pyfunc.load_model(f"models:/{name}/{stage}")
    answer: NDArray[np.float64] = model.predict(make_features(trips))
    return answer.reshape(len(trips))


def train_on(
    learned: list[Chunk],
    *,
    model: str = params.MODEL,
    name: str = params.MODEL_NAME,
    data: str | None = None,
) -> int:
    """Train on some chunks and register the model; return the number of its version."""
    trips = source(data)
    parts = [load(chunk, data) for chunk in learned]
    features = pd.concat([part.features for part in parts], ignore_index=True)
    fares = pd.concat([part.fares for part in parts], ignore_index=True)
    report = sum_reports([part.report for part in parts])
    months = " + ".join(chunk.month for chunk in learned)
    maker = model_module(model)

    loopline.set_experiment(params.EXPERIMENT)
    with loopline.start_run(run_name=f"train on {months}"):
        loopline.set_tags({"data.origin": trips.origin, "cleaning": str(report)})
        loopline.log_params(
            {
                **maker.params(),
                "months": months,
                "first_row": learned[0].first_row,
                "next_row": learned[-1].next_row,
                "rows": report.kept,
                "rows_dropped": report.rows - report.kept,
                "passengers_imputed": report.imputed,
            }
        )
        loopline.log_dict(report._asdict(), "cleaning.json")
        for chunk in learned:
            loopline.log_input(trips.dataset(chunk.month), context="training")
        fitted = maker.fit(features, fares)
        info = maker.log(fitted, input_example=features.head(5))  # Its signature follows from it.
    version = registry.register_model(
        info.model_uri,
        name,
        description=f"{model}, trained on {months} ({trips.origin})",
        tags={"data.origin": trips.origin, "months": months},
    )
    print(f"v{version.version} of {name}: {report.kept:,} trips of {months} learned")
    return version.version


def compare(
    version: int,
    first_row: int,
    stage: str = "Production",
    *,
    name: str = params.MODEL_NAME,
    data: str | None = None,
) -> Decision:
    """Compare a new version with the one in a stage, on a chunk that neither has seen."""
    champion = next((v for v in registry.list_versions(name) if v.stage == stage), None)
    known = champion.version if champion else None
    following = {chunk.first_row: chunk for chunk in chunks(data)}
    if first_row not in following:
        reason = "no month follows the ones it learned from"
        return lifecycle.decide_nothing(version, reason, champion=known)
    chunk = following[first_row]
    if champion and int(champion.params.get("first_row", 0)) <= first_row < int(
        champion.params.get("next_row", 0)
    ):
        reason = f"it learned from {chunk.month}, so there is no fair comparison there"
        return lifecycle.decide_nothing(version, reason, champion=known)
    trips = load(chunk, data)

    loopline.set_experiment(params.EXPERIMENT)
    with loopline.start_run(run_name=f"compare on {chunk.month}"):
        evaluated = source(data).dataset(chunk.month)
        loopline.log_input(evaluated, context="evaluation")
        decision = lifecycle.compare(
            name,
            version,
            trips.features,
            trips.fares,
            stage=stage,
            policy=lifecycle.set_policy(make_policy(name, stage)).policy,
            slices=make_slices(trips.features),
            data=evaluated,
        )
        loopline.set_tags(
            {
                "data.origin": source(data).origin,
                "cleaning": str(trips.report),
                "decision": decision.sentence,
            }
        )
        loopline.log_params({"month": chunk.month, "challenger": version, "champion": known or ""})
        if decision.score is not None:
            loopline.log_metric("challenger_rmse", decision.score)
        if decision.comparison is not None:
            found = decision.comparison
            loopline.log_metrics(
                {
                    "champion_rmse": found.champion,
                    "gain": found.gain,
                    "gain_low": found.low,
                    "gain_high": found.high,
                    "p": found.p,
                }
            )
    return decision
