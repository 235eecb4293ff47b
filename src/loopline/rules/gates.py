"""Gates: whether a challenger is really better than the champion, and the sentence that says so.

The two models are scored on the same rows, which neither has seen. Their errors are paired row
by row, so the resampling keeps the pairs together: a row that is hard for both moves both scores
alike and does not blur the difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.records.base import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Comparison",
    "Decision",
    "Gate",
    "compare_errors",
    "decide",
    "decide_first",
    "decide_nothing",
    "score",
]

METRICS = ("rmse", "mae")


class Gate(Record, frozen=True, kw_only=True):
    """What a challenger must show to be promoted.

    Attributes:
        metric: ``"rmse"`` or ``"mae"``; less is better.
        min_gain: Part of the champion's error that must go, 0 to below 1: 0.05 asks for 5 %.
        confidence: Of the two-sided interval of the gain, which must lie above 0; 0.95 is 95 %.
        min_rows: How many rows both must be scored on: on fewer, resampling shows less chance
            than there is.
        resamples: Bootstrap resamples, at least 100.
        seed: The same errors and seed give the same numbers.
    """

    metric: str = "rmse"
    min_gain: float = 0.05
    confidence: float = 0.95
    min_rows: int = 30
    resamples: int = 1000
    seed: int = 0


class Comparison(Record, frozen=True, kw_only=True):
    """Champion and challenger scored on the same rows.

    Attributes:
        metric: ``"rmse"`` or ``"mae"``.
        rows: How many rows both were scored on.
        champion: The champion's error, in the target's unit.
        challenger: The challenger's error, in the target's unit.
        gain: ``1 - challenger / champion``: 0.24 is 24 % better, negative is worse.
        low: Lower end of the interval of the gain.
        high: Upper end of the interval of the gain.
        p: Chance to see such a gain by the luck of the rows, one-sided, never exactly 0.
        confidence: Of the interval.
    """

    metric: str
    rows: int
    champion: float
    challenger: float
    gain: float
    low: float
    high: float
    p: float
    confidence: float = 0.95


class Decision(Record, frozen=True, kw_only=True):
    """Whether the challenger takes the champion's place, with the reason.

    Attributes:
        promote: Whether it does.
        rule: ``"first"`` (there was no champion), ``"better"``, ``"not better"``,
            ``"too little"`` (better, but less than asked), ``"unsure"`` (the interval reaches
            0), ``"too few"`` (rows)
            or ``"no score"`` (nothing to compare on, or a prediction that is not a number).
        sentence: What a person would say.
        champion: Its version, or None when there was none.
        challenger: Its version.
        score: The challenger's error on the rows it was scored on, or None when it was not.
        comparison: The numbers, or None when there was nothing to compare.
    """

    promote: bool
    rule: str
    sentence: str
    champion: int | None = None
    challenger: int
    score: float | None = None
    comparison: Comparison | None = None


def score(errors: ArrayLike, metric: str = "rmse") -> float:
    """Sum up the errors of a model.

    Args:
        errors: Prediction minus truth, shape (n,), in the target's unit.
        metric: ``"rmse"`` or ``"mae"``.

    Returns:
        The score in the target's unit; NaN when an error is not a number.

    Raises:
        InvalidInputError: For another metric, or without rows.
    """
    return _total(float(_losses(errors, metric).mean()), metric)


def compare_errors(champion: ArrayLike, challenger: ArrayLike, gate: Gate) -> Comparison:
    """Compare two models by a paired bootstrap over rows.

    Each resample draws n rows with replacement and takes both models' scores on them; the
    interval is the middle ``confidence`` of the resampled gains. Memory stays at a few arrays of
    n numbers, whatever the number of resamples.

    Args:
        champion: The champion's prediction minus truth, shape (n,).
        challenger: The challenger's, for the same rows in the same order.
        gate: Metric, confidence, resamples and seed.

    Returns:
        The numbers. When an error is not finite, what follows from it is NaN.

    Raises:
        InvalidInputError: When the two differ in length, are empty, or the gate is impossible.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 (percentile
        interval) and 15 (achieved significance level).
    """
    import numpy as np

    _check(gate)
    if np.shape(champion) != np.shape(challenger):
        msg = (
            f"The champion has {np.size(champion)} errors and the challenger "
            f"{np.size(challenger)}: score both on the same rows, in the same order."
        )
        raise InvalidInputError(msg)
    losses = np.stack([_losses(champion, gate.metric), _losses(challenger, gate.metric)], axis=1)
    old, new = (_total(float(mean), gate.metric) for mean in losses.mean(axis=0))
    gain, low, high, p = math.nan, math.nan, math.nan, math.nan
    if math.isfinite(old) and math.isfinite(new):
        gain = _gain(old, new)
        gains = _resample(losses, gate)
        tail = (1 - gate.confidence) / 2
        low, high = (
            # Without interpolation: a resample in which the champion is perfect has gain -inf.
            float(end)
            for end in np.quantile(gains, [tail, 1 - tail], method="inverted_cdf")
        )
        # Plus one: the sample itself is one of the ways it could have come out.
        p = float((np.count_nonzero(gains <= 0) + 1) / (gate.resamples + 1))
    return Comparison(
        metric=gate.metric,
        rows=len(losses),
        champion=old,
        challenger=new,
        gain=gain,
        low=low,
        high=high,
        p=p,
        confidence=gate.confidence,
    )


def decide(comparison: Comparison, gate: Gate, *, champion: int, challenger: int) -> Decision:
    """Decide by the gate: enough gain, and an interval of the gain above 0.

    Args:
        comparison: From ``compare_errors``.
        gate: What is asked for.
        champion: Version of the champion.
        challenger: Version of the challenger.
    """
    old, new = f"v{champion}", f"v{challenger}"
    by = f"{abs(comparison.gain):.1%}".replace("%", " %")
    to = "–" if comparison.low >= 0 else " to "  # noqa: RUF001 - a range
    span = (
        f"{comparison.confidence * 100:.3g} % interval "
        f"{comparison.low * 100:.1f}{to}{comparison.high * 100:.1f} %"
    )
    promote = False
    if math.isnan(comparison.gain):
        culprit = new if not math.isfinite(comparison.challenger) else old
        rule, sentence = "no score", f"kept {old}: {culprit} predicts what is not a number"
        if culprit == old:
            sentence += f", so {new} cannot be compared with it; move it by hand if it is good"
    elif comparison.rows < gate.min_rows:
        rule = "too few"
        sentence = f"kept {old}: too few rows to compare {new} on ({comparison.rows}, of the "
        sentence += f"{gate.min_rows} asked for)"
    elif comparison.gain <= 0:
        rule, sentence = "not better", f"kept {old}: {new} is worse by {by}"
        if by == "0.0 %":
            sentence = f"kept {old}: {new} is no better"
        elif comparison.champion == 0:
            sentence = f"kept {old}: it makes no error at all on these rows"
    elif comparison.low <= 0:
        rule = "unsure"
        sentence = f"kept {old}: {new} looks better by {by}, but it may be luck ({span})"
    elif comparison.gain < gate.min_gain:
        asked = f"{gate.min_gain * 100:.3g} %"
        rule = "too little"
        sentence = f"kept {old}: {new} is better by {by}, below the {asked} asked for"
    else:
        promote = True
        rule, sentence = "better", f"promoted {new} over {old}: better by {by} ({span})"
    return Decision(
        promote=promote,
        rule=rule,
        sentence=sentence,
        champion=champion,
        challenger=challenger,
        score=comparison.challenger,
        comparison=comparison,
    )


def decide_first(challenger: int, *, score: float | None = None) -> Decision:
    """Decide when there is no champion: the first version takes the place, by rule.

    Args:
        challenger: Its version.
        score: Its error on the rows it was scored on, if it was.
    """
    if score is not None and not math.isfinite(score):
        return decide_nothing(challenger, f"v{challenger} predicts what is not a number")
    return Decision(
        promote=True,
        rule="first",
        sentence=f"promoted v{challenger}: there was no champion to compare with",
        challenger=challenger,
        score=score,
    )


def decide_nothing(challenger: int, reason: str, *, champion: int | None = None) -> Decision:
    """Decide when there is nothing to compare on: everything stays as it is.

    Args:
        challenger: Its version.
        reason: Why, such as ``"no rows that neither has seen"``.
        champion: Version of the champion, or None when there is none.
    """
    stays = "promoted nothing" if champion is None else f"kept v{champion}"
    return Decision(
        promote=False,
        rule="no score",
        sentence=f"{stays}: {reason}",
        champion=champion,
        challenger=challenger,
    )


def _losses(errors: ArrayLike, metric: str) -> NDArray[np.float64]:
    """Turn errors into what is averaged: their squares or their sizes."""
    import numpy as np

    if metric not in METRICS:
        msg = f"No gate on {metric!r}. Use one of {', '.join(METRICS)}."
        raise InvalidInputError(msg)
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        msg = f"Errors must be one column with at least one row, not of shape {values.shape}."
        raise InvalidInputError(msg)
    with np.errstate(over="ignore"):  # A square beyond any number is an infinity.
        return np.square(values) if metric == "rmse" else np.abs(values)


def _total(mean: float, metric: str) -> float:
    return math.sqrt(mean) if metric == "rmse" else mean


def _gain(old: float, new: float) -> float:
    if old == 0:  # A perfect champion: nothing can be gained, and anything else is worse.
        return 0.0 if new == 0 else -math.inf
    return 1 - new / old


def _resample(losses: NDArray[np.float64], gate: Gate) -> NDArray[np.float64]:
    """Draw the gains of ``gate.resamples`` resamples of the rows, shape (resamples,)."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64(gate.seed))
    rows = len(losses)
    sums = np.empty((gate.resamples, 2))
    for index in range(gate.resamples):
        drawn = random.integers(rows, size=rows, dtype=np.int32)
        sums[index] = np.bincount(drawn, minlength=rows) @ losses  # How often each row came.
    old, new = sums[:, 0], sums[:, 1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(old == 0, np.where(new == 0, 1.0, np.inf), new / old)
    return 1 - (np.sqrt(ratio) if gate.metric == "rmse" else ratio)


def _check(gate: Gate) -> None:
    if not 0 <= gate.min_gain < 1:
        msg = f"A gate's min_gain is a part from 0 to below 1, not {gate.min_gain:g}: 0.05 is 5 %."
        raise InvalidInputError(msg)
    if not 0 < gate.confidence < 1:
        msg = f"A gate's confidence lies between 0 and 1, not {gate.confidence:g}: 0.95 is 95 %."
        raise InvalidInputError(msg)
    if gate.min_rows < 1:
        msg = f"A gate's min_rows is 1 or more, not {gate.min_rows}."
        raise InvalidInputError(msg)
    if gate.resamples < 100:  # noqa: PLR2004 - said in the message
        msg = f"A gate needs at least 100 resamples, not {gate.resamples}."
        raise InvalidInputError(msg)
