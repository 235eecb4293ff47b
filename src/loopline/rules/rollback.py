"""Rolling back by rule: whether a champion's live error calls for the version before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from loopline.rules.scores import error_of, scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.records.policies import Rollback

__all__ = ["Live", "LiveVerdict", "judge_live"]


class Live(NamedTuple):
    """What a version said, and what came true, shape (n,) each, in order of time.

    Attributes:
        at_s: Unix time of each prediction.
        said: Predictions.
        truth: What came true.
    """

    at_s: NDArray[np.float64]
    said: NDArray[np.generic]
    truth: NDArray[np.generic]


class LiveVerdict(NamedTuple):
    """What the live error calls for.

    Attributes:
        roll_back: Whether the version before is called for.
        sentence: Why, as a person would say it.
        now: The champion's live score over the stretch that counts; NaN when too little is known.
        before: The score that it is held against.
        rows: Predictions of the champion in that stretch whose truth is known.
    """

    roll_back: bool
    sentence: str
    now: float
    before: float
    rows: int


def judge_live(
    rule: Rollback, metric: str, champion: Live, before: Live | float, *, until_s: float
) -> LiveVerdict:
    """Judge a champion by what really happened.

    It must have been worse all the while: its error over the whole stretch counts, and so does its
    error over each half of it, so that one bad hour does not call for a rollback.

    Args:
        rule: What is allowed, for how long, and on how many rows.
        metric: By which versions are decided on.
        champion: What the champion said since it took the place.
        before: What the version before it said while it was live; or its score when the two were
            compared.
        until_s: Now, Unix time.
    """
    since = until_s - rule.for_s
    if not len(champion.at_s) or champion.at_s[0] > since:
        return _stays(
            f"it has been live for less than {rule.for_s / 60:.3g} min", len(champion.at_s)
        )
    if isinstance(before, Live):
        if len(before.at_s) < rule.min_rows:
            return _stays("too little is known of the version before it", 0)
        old = scored(metric, before.truth, before.said).score
    else:
        old = before
    late = champion.at_s >= since
    rows = int(late.sum())
    if rows < rule.min_rows:
        asked = f"of the {rule.min_rows:,} asked for"
        return _stays(f"the truth of {rows:,} predictions is known, {asked}", rows)
    found = scored(metric, champion.truth[late], champion.said[late])
    half = rows // 2
    halves = [
        scored(metric, champion.truth[late][part], champion.said[late][part]).score
        for part in (slice(None, half), slice(half, None))
    ]
    bound = (1 + rule.at_most_worse) * error_of(metric, old)
    errors = [error_of(metric, score) for score in (found.score, *halves)]
    worse = f"its live {metric} is {found.score:.4g}, and the version before it had {old:.4g}"
    if any(math.isnan(error) for error in errors):
        return LiveVerdict(
            roll_back=True, sentence="it predicts what is not a number", now=math.nan, before=old,
            rows=rows,
        )  # fmt: skip
    return LiveVerdict(
        roll_back=all(error > bound for error in errors),
        sentence=worse,
        now=found.score,
        before=old,
        rows=rows,
    )


def _stays(why: str, rows: int) -> LiveVerdict:
    return LiveVerdict(roll_back=False, sentence=why, now=math.nan, before=math.nan, rows=rows)
