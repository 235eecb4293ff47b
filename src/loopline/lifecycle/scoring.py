"""Scoring registered versions on new rows: one alone, or a challenger against the champion."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError, NotFoundError
from loopline.lifecycle.policies import find_policy
from loopline.lifecycle.unseen import check_unseen
from loopline.records.base import Record
from loopline.records.policies import Latency, Policy, Slices
from loopline.registry import get_version
from loopline.rules.gates import Evidence, check_gates, decide, decide_nothing
from loopline.rules.scores import scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from loopline.models.pyfunc import PyFuncModel
    from loopline.records.decisions import Decision
    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Dataset

__all__ = ["Evaluation", "compare", "evaluate"]

#: A model is asked so often for one row, and no longer than so many seconds, to learn its latency.
LATENCY_CALLS, LATENCY_S = 50, 2.0


class Evaluation(Record, frozen=True, kw_only=True):
    """How good a version is on some rows.

    Attributes:
        name: Of the registered model.
        version: Which one was scored.
        metric: Such as ``"rmse"``.
        score: In the metric's unit; NaN when a prediction is not a number.
        rows: How many rows it was scored on.
        slices: Score by column and value of each column that was asked for.
    """

    name: str
    version: int
    metric: str
    score: float
    rows: int
    slices: Mapping[str, dict[str, float]] = {}


def evaluate(
    name: str,
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    truth: ArrayLike,
    *,
    stage: str = "Production",
    metric: str = "",
    slices: Sequence[str] | Mapping[str, ArrayLike] = (),
) -> Evaluation | None:
    """Score the version in a stage on rows it has not seen.

    Args:
        name: Of the registered model.
        inputs: What the model takes, n rows.
        truth: What came true, shape (n,), in the same order.
        stage: Such as ``"Production"``.
        metric: ``"rmse"``, ``"mae"``, ``"accuracy"``, ``"log_loss"``, ``"brier"`` or ``"auc"``;
            left out, that of the model's policy, or rmse.
        slices: Columns of the inputs to score by value, such as ``["borough"]``; or by name the
            values of each, shape (n,).

    Returns:
        The score, or None when no version is in that stage.

    Raises:
        InvalidInputError: The inputs do not fit the model, or the truth does not fit them.
    """
    import numpy as np

    champion = in_stage(name, stage)
    if champion is None:
        return None
    if not metric:
        policy = find_policy(name, stage)
        metric = policy.metric if policy else "rmse"
    found = scored(metric, truth, _model(champion).predict(inputs))
    columns = _columns(inputs, slices, len(found.losses))
    return Evaluation(
        name=name,
        version=champion.version,
        metric=metric,
        score=found.score,
        rows=len(found.losses),
        slices={
            column: {str(value): found.part(values == value).score for value in np.unique(values)}
            for column, values in columns.items()
        },
    )


def compare(
    name: str,
    challenger: int,
    inputs: Any,  # noqa: ANN401 - whatever the models take
    truth: ArrayLike,
    *,
    stage: str = "Production",
    policy: Policy | None = None,
    slices: Mapping[str, ArrayLike] | None = None,
    data: Dataset | None = None,
) -> Decision:
    """Decide whether a version should take the place of the one in a stage.

    Both are scored on the same rows. Nothing is moved; ``promote`` does that.

    Args:
        name: Of the registered model.
        challenger: The version that would take the place.
        inputs: What the models take, n rows.
        truth: What came true, shape (n,), in the same order.
        stage: Such as ``"Production"``.
        policy: Metric and gates; left out, the policy that is set for the model's stage, or else
            one that asks for at least 5 % less rmse, and surely so.
        slices: Values of the columns that gates look at, by name, shape (n,); left out, they are
            columns of the inputs.
        data: The data version that the rows are. It is looked up whether one of the two was
            trained on it, and then nothing is promoted. Left out, the caller knows.

    Returns:
        The decision with its numbers and its sentence. Without a version in the stage the
        challenger takes it, by rule.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: The inputs do not fit a model, the truth does not fit them, or a gate
            cannot be.
    """
    policy = policy or find_policy(name, stage) or Policy(model=name, stage=stage)
    metric, gates = policy.metric, policy.gates
    check_gates(gates, metric)
    new = get_version(name, challenger)
    champion = in_stage(name, stage)
    if champion is not None and champion.version == new.version:
        reason = f"it is in {champion.stage} already"
        return _named(decide_nothing(new.version, reason, champion=champion.version))
    seen = check_unseen(data, [new] if champion is None else [champion, new])
    if seen.by is not None:
        number = None if champion is None else champion.version
        decided = decide_nothing(new.version, seen.why, champion=number, rule="seen")
        return _named(decided, data=data)
    challenging = _model(new)
    said = scored(metric, truth, challenging.predict(inputs))
    asked = [gate.by for gate in gates if isinstance(gate, Slices)]
    evidence = Evidence(
        challenger=said,
        champion=None
        if champion is None
        else scored(metric, truth, _model(champion).predict(inputs)),
        slices=_columns(inputs, slices or asked, len(said.losses)) if asked else {},
        latency_ms=(
            _latency_ms(challenging, inputs)
            if any(isinstance(gate, Latency) for gate in gates)
            else None
        ),
        size_bytes=new.size_bytes,
    )
    decided = decide(
        gates,
        evidence,
        champion=None if champion is None else champion.version,
        challenger=new.version,
    )
    return _named(decided, data=data, unseen=seen.how)


def _named(decision: Decision, *, data: Dataset | None = None, unseen: str = "") -> Decision:
    """Tell a decision from all others, so that it is on record once however often it is sent."""
    return msgspec.structs.replace(
        decision,
        decision_id=uuid.uuid4().hex,
        data="" if data is None else data.digest,
        unseen=unseen,
    )


def in_stage(name: str, stage: str) -> ModelVersion | None:
    """Find the version in a stage; None when there is none, or no such model."""
    try:
        return get_version(name, stage=stage)
    except NotFoundError:
        return None


def _model(version: ModelVersion) -> PyFuncModel:
    from loopline.models.pyfunc import load_model

    return load_model(f"models:/{version.name}/{version.version}")


def _columns(
    inputs: Any,  # noqa: ANN401 - whatever the models take
    wanted: Sequence[str] | Mapping[str, ArrayLike],
    rows: int,
) -> dict[str, NDArray[np.str_]]:
    """Take the columns that make slices, as text."""
    import numpy as np

    columns: dict[str, NDArray[np.str_]] = {}
    for name in wanted:
        try:
            values = wanted[name] if isinstance(wanted, Mapping) else inputs[name]
        except (KeyError, IndexError, TypeError, ValueError):
            msg = (
                f"The inputs have no column {name!r} to make slices of. Give its values: "
                f"slices={{{name!r}: values}}."
            )
            raise InvalidInputError(msg) from None
        column = np.asarray(values)
        if column.shape != (rows,):
            msg = f"The slices by {name!r} need {rows} values, one a row, not {column.size}."
            raise InvalidInputError(msg)
        columns[name] = column.astype(str)
    return columns


def _latency_ms(model: PyFuncModel, inputs: Any) -> float:  # noqa: ANN401
    """Ask a model for one row again and again; the median of how long that took."""
    row = inputs.iloc[:1] if hasattr(inputs, "iloc") else _first(inputs)
    model.predict(row)
    took: list[float] = []
    until = time.perf_counter() + LATENCY_S
    while len(took) < LATENCY_CALLS and (not took or time.perf_counter() < until):
        began = time.perf_counter()
        model.predict(row)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _first(inputs: Any) -> Any:  # noqa: ANN401
    if isinstance(inputs, dict):
        return {name: values[:1] for name, values in inputs.items()}
    return inputs[:1]
