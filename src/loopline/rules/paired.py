"""Two models on the same rows: how much better one is, and how sure that is.

Rows are paired: one that is hard for both moves both scores alike, and does not blur the
difference.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import InvalidInputError
from loopline.rules.scores import METRICS, error_of, midranks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.records.policies import Gain
    from loopline.rules.scores import Scored

__all__ = ["Gained", "check_gain", "gain_of", "gained"]

TESTS = ("auto", "bootstrap", "mcnemar", "delong")
#: Up to so many rows that only one of the two has right, the binomial is summed up exactly.
EXACT_ROWS = 1_000
#: Rows drawn with one step, when there are fewer: memory stays at a few megabytes.
TOGETHER = 100_000


class Gained(NamedTuple):
    """A challenger's gain over a champion, and its spread.

    Attributes:
        gain: ``1 - challenger's error / champion's``: 0.24 is 24 % better, negative is worse.
        low: Lower end of the interval.
        high: Upper end.
        p: Chance to see such a gain by the luck of the rows, one-sided, never exactly 0.
        p_worse: Likewise, chance to see it if the error grew by no more than allowed.
    """

    gain: float
    low: float
    high: float
    p: float
    p_worse: float


def check_gain(gate: Gain, metric: str) -> None:
    """Refuse a gate that cannot be.

    Raises:
        InvalidInputError: With what would be right.
    """
    if not 0 <= gate.at_least < 1:
        msg = f"A gain is a part from 0 to below 1, not {gate.at_least:g}: 0.05 is 5 %."
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
    if gate.test not in TESTS:
        msg = f"No test {gate.test!r}. Use one of {', '.join(TESTS)}."
        raise InvalidInputError(msg)
    fits = {"mcnemar": metric == "accuracy", "delong": metric == "auc"}
    fits["bootstrap"] = METRICS[metric].is_mean
    if not fits.get(gate.test, True):
        msg = f"The test {gate.test} is not made for {metric}. Leave it out, or use 'auto'."
        raise InvalidInputError(msg)


def gained(champion: Scored, challenger: Scored, gate: Gain, *, allowed: float = 0.0) -> Gained:
    """Compare two models on the same rows.

    Args:
        champion: Scored on n rows.
        challenger: Scored on the same rows in the same order, by the same metric.
        gate: Test, confidence, resamples and seed.
        allowed: Part by which the error may grow before it counts for ``p_worse``.

    Returns:
        The numbers; NaN where an error is not finite.

    Source:
        Bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13
        (percentile interval) and 15 (achieved significance level). McNemar, Psychometrika 12,
        1947, exact. DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, by midranks as in Sun
        and Xu, IEEE Signal Processing Letters 21, 2014.
    """
    old = error_of(champion.metric, champion.score)
    new = error_of(challenger.metric, challenger.score)
    if not (math.isfinite(old) and math.isfinite(new)):
        return Gained(math.nan, math.nan, math.nan, math.nan, math.nan)
    gain = gain_of(old, new)
    test = gate.test
    if test == "auto":
        test = {"accuracy": "mcnemar", "auc": "delong"}.get(champion.metric, "bootstrap")
    if test == "mcnemar":
        return _mcnemar(champion, challenger, gate, gain, allowed)
    if test == "delong":
        return _delong(champion, challenger, gate, gain, allowed)
    return _bootstrap(champion, challenger, gate, gain, allowed)


def gain_of(old: float, new: float) -> float:
    """Tell which part of an error is gone."""
    if old == 0:  # A perfect champion: nothing can be gained, and anything else is worse.
        return 0.0 if new == 0 else -math.inf
    return 1 - new / old


def _bootstrap(
    champion: Scored, challenger: Scored, gate: Gain, gain: float, allowed: float
) -> Gained:
    """Draw rows with replacement; memory stays at a few arrays of n numbers."""
    import numpy as np

    gains = _resample(np.stack([champion.losses, challenger.losses], axis=1), gate)
    if champion.metric == "rmse":  # Of means of squares so far.
        gains = 1 - np.sqrt(1 - gains)
    tail = (1 - gate.confidence) / 2
    # Without interpolation: a resample in which the champion is perfect has gain -inf.
    low, high = np.quantile(gains, [tail, 1 - tail], method="inverted_cdf")

    def chance(count: int) -> float:
        # Plus one: the sample itself is one of the ways it could have come out.
        return (count + 1) / (gate.resamples + 1)

    return Gained(
        gain,
        float(low),
        float(high),
        chance(int(np.count_nonzero(gains <= 0))),
        chance(int(np.count_nonzero(gains >= -allowed))),
    )


def _resample(losses: NDArray[np.float64], gate: Gain) -> NDArray[np.float64]:
    """Draw the gains of ``gate.resamples`` resamples of the rows, shape (resamples,)."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64(gate.seed))
    rows = len(losses)
    sums = np.empty((gate.resamples, 2))
    together = max(1, TOGETHER // rows)
    for start in range(0, gate.resamples, together):
        count = min(together, gate.resamples - start)
        drawn = random.integers(rows, size=(count, rows), dtype=np.int32)
        if count == 1:  # How often each row came: one pass over the losses, and no copy of them.
            sums[start] = np.bincount(drawn[0], minlength=rows) @ losses
        else:
            sums[start : start + count] = losses[drawn].sum(axis=1)
    old, new = sums[:, 0], sums[:, 1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(old == 0, np.where(new == 0, 1.0, np.inf), new / old)
    return 1 - ratio


def _mcnemar(
    champion: Scored, challenger: Scored, gate: Gain, gain: float, allowed: float
) -> Gained:
    """Ask the rows that only one of the two has right: by luck it is either, like a coin."""
    import numpy as np

    only_new = int(np.count_nonzero((champion.losses == 1) & (challenger.losses == 0)))
    only_old = int(np.count_nonzero((champion.losses == 0) & (challenger.losses == 1)))
    wrong = float(champion.losses.sum())
    differ = only_new + only_old
    if not differ or not wrong:
        end = gain if wrong else 0.0
        return Gained(gain, min(gain, end), max(gain, end), 1.0, 1.0 if gain >= -allowed else 0.0)
    low, high = _share_interval(only_new, differ, gate.confidence)
    # What the shares would be if the errors grew by what is allowed.
    at_bound = min(1.0, max(0.0, 0.5 - allowed * wrong / (2 * differ)))
    return Gained(
        gain,
        (2 * low - 1) * differ / wrong,
        (2 * high - 1) * differ / wrong,
        _at_least(only_new, differ, 0.5),
        1 - _at_least(only_new + 1, differ, at_bound),
    )


def _share_interval(count: int, total: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, by halving."""
    tail = (1 - confidence) / 2

    def solve(chance: object, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            if chance(middle) < wanted:  # type: ignore[operator]
                low = middle
            else:
                high = middle
        return (low + high) / 2

    low = 0.0 if count == 0 else solve(lambda share: _at_least(count, total, share), tail)
    high = 1.0
    if count < total:
        high = solve(lambda share: _at_least(count + 1, total, share), 1 - tail)
    return low, high


def _at_least(count: int, total: int, share: float) -> float:
    """Tell the chance of ``count`` or more of ``total`` when each has the chance ``share``."""
    if count <= 0:
        return 1.0
    if count > total or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if total > EXACT_ROWS:  # The normal curve, with half a row for continuity.
        mean, deviation = total * share, math.sqrt(total * share * (1 - share))
        return 1 - NormalDist(mean, deviation).cdf(count - 0.5)
    logs = (
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        + k * math.log(share) + (total - k) * math.log1p(-share)
        for k in range(count, total + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def _delong(
    champion: Scored, challenger: Scored, gate: Gain, gain: float, allowed: float
) -> Gained:
    """Take the variance of the difference of two areas from each row's part in them."""
    import numpy as np

    happened = champion.truth == 1
    yes, no = int(np.count_nonzero(happened)), int(np.count_nonzero(~happened))
    of_yes, of_no = [], []
    for model in (champion, challenger):
        ranks = midranks(model.losses)
        own_yes, own_no = midranks(model.losses[happened]), midranks(model.losses[~happened])
        of_yes.append((ranks[happened] - own_yes) / no)
        of_no.append(1 - (ranks[~happened] - own_no) / yes)
    spread = sum(
        float(np.var(parts[1] - parts[0], ddof=1)) / count if count > 1 else math.inf
        for parts, count in ((of_yes, yes), (of_no, no))
    )
    error = 1 - champion.score
    if error == 0:
        return Gained(gain, min(gain, 0.0), max(gain, 0.0), 1.0, 1.0 if gain >= -allowed else 0.0)
    deviation = math.sqrt(spread) / error
    if deviation == 0:  # They order all rows alike.
        return Gained(gain, gain, gain, float(gain <= 0), float(gain >= -allowed))
    reach = NormalDist().inv_cdf(0.5 + gate.confidence / 2) * deviation
    if math.isinf(deviation):
        return Gained(gain, -math.inf, math.inf, 1.0, 1.0)
    normal = NormalDist(0, deviation)
    return Gained(
        gain, gain - reach, gain + reach, 1 - normal.cdf(gain), normal.cdf(gain + allowed)
    )
