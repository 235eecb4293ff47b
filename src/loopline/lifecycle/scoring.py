"""Scoring registered versions on new rows: one alone, or a challenger against the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.base import Record
from loopline.registry import get_version
from loopline.rules.gates import Gate, compare_errors, decide, decide_first, decide_nothing, score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from loopline.records.registry import ModelVersion
    from loopline.rules.gates import Decision

__all__ = ["Evaluation", "compare", "evaluate"]


class Evaluation(Record, frozen=True, kw_only=True):
    """How far off a version is on some rows.

    Attributes:
        name: Of the registered model.
        version: Which one was scored.
        metric: ``"rmse"`` or ``"mae"``.
        score: In the target's unit; NaN when a prediction is not a number.
        rows: How many rows it was scored on.
    """

    name: str
    version: int
    metric: str
    score: float
    rows: int


def evaluate(
    name: str,
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    truth: ArrayLike,
    *,
    stage: str = "Production",
    metric: str = "rmse",
) -> Evaluation | None:
    """Score the version in a stage on rows it has not seen.

    Args:
        name: Of the registered model.
        inputs: What the model takes, n rows.
        truth: What came true, shape (n,), in the same order.
        stage: Such as ``"Production"``.
        metric: ``"rmse"`` or ``"mae"``.

    Returns:
        The score, or None when no version is in that stage.

    Raises:
        InvalidInputError: The inputs do not fit the model, or the truth does not fit them.
    """
    champion = in_stage(name, stage)
    if champion is None:
        return None
    errors = _errors(champion, inputs, truth)
    return Evaluation(
        name=name,
        version=champion.version,
        metric=metric,
        score=score(errors, metric),
        rows=len(errors),
    )


def compare(
    name: str,
    challenger: int,
    inputs: Any,  # noqa: ANN401 - whatever the models take
    truth: ArrayLike,
    *,
    stage: str = "Production",
    gate: Gate | None = None,
) -> Decision:
    """Decide whether a version should take the place of the one in a stage.

    Both are scored on the same rows, which neither may have seen in training: the caller knows.
    Nothing is moved; ``promote`` does that.

    Args:
        name: Of the registered model.
        challenger: The version that would take the place.
        inputs: What the models take, n rows.
        truth: What came true, shape (n,), in the same order.
        stage: Such as ``"Production"``.
        gate: What is asked for; at least 5 % less RMSE, and surely so, unless said.

    Returns:
        The decision with its numbers and its sentence. Without a version in the stage the
        challenger takes it, by rule.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: The inputs do not fit a model, or the truth does not fit them.
    """
    gate = gate or Gate()
    new = get_version(name, challenger)
    champion = in_stage(name, stage)
    if champion is not None and champion.version == new.version:
        reason = f"it is in {champion.stage} already"
        return decide_nothing(new.version, reason, champion=champion.version)
    errors = _errors(new, inputs, truth)
    if champion is None:
        return decide_first(new.version, score=score(errors, gate.metric))
    comparison = compare_errors(_errors(champion, inputs, truth), errors, gate)
    return decide(comparison, gate, champion=champion.version, challenger=new.version)


def in_stage(name: str, stage: str) -> ModelVersion | None:
    """Find the version in a stage; None when there is none, or no such model."""
    try:
        return get_version(name, stage=stage)
    except NotFoundError:
        return None


def _errors(version: ModelVersion, inputs: Any, truth: ArrayLike) -> NDArray[np.float64]:  # noqa: ANN401
    """Ask a version and take the truth from what it says; shape (n,)."""
    import numpy as np

    from loopline.models.pyfunc import load_model

    target = np.asarray(truth, dtype=np.float64)
    model = load_model(f"models:/{version.name}/{version.version}")
    said = np.asarray(model.predict(inputs), dtype=np.float64)
    if said.size != target.size:
        msg = (
            f"Version {version.version} of {version.name} gave {said.size} numbers for "
            f"{target.size} true values. Give as many true values as rows; a model with several "
            "outputs cannot be scored this way."
        )
        raise InvalidInputError(msg)
    return said.reshape(target.shape) - target
