"""Drift of columns: distances between two sets of values, and how sure they are.

With many rows everything differs *surely*, and with many columns some differ by luck. So a column
counts as drifted when both hold: the chance of its distance, with all columns looked at, is small,
and the distance itself is large enough to matter.
"""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from loopline.records.base import Record
from loopline.records.drift import Bin, ColumnDrift

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Numbers", "Thresholds", "Values", "compare_columns"]

#: Parts into which values of before are cut for the index: deciles, as its users do.
PARTS = 10
#: A share counts as at least this: one empty part is no reason for an infinite index.
LEAST_SHARE = 1e-4
#: Values of a column that are told apart; those beyond are one.
MOST_VALUES = 50
MOST_NEW = 10
#: Points at which two distributions of numbers are held against each other.
GRID = 1001


class Thresholds(Record, frozen=True, kw_only=True):
    """When a difference counts.

    Attributes:
        p: Chance, with all columns looked at, below which a difference is sure.
        psi: Index from which a difference matters.
        distance: Distance from which it matters, though the index does not say so.
        missing: Change of the share of missing values that matters.
        new_share: Share of values never seen before that matters.
    """

    p: float = 0.01
    psi: float = 0.2
    distance: float = 0.1
    missing: float = 0.05
    new_share: float = 0.01


class Numbers(NamedTuple):
    """A column of numbers, or of times as seconds.

    Attributes:
        rows: All rows, those without a value too.
        missing: Rows without a value, NaN among them.
        values: A sample of the others in rising order, shape (n,).
        is_coarse: They are drawn through a few quantiles.
        is_time: They are seconds since 1970.
    """

    rows: int
    missing: int
    values: NDArray[np.float64]
    is_coarse: bool = False
    is_time: bool = False


class Values(NamedTuple):
    """A column of text, yes and no, or other values that have no order.

    Attributes:
        rows: All rows.
        missing: Rows without a value.
        counts: Rows by value.
        others: Rows with values that are not counted one by one.
        is_coarse: Only the most frequent ones are known.
    """

    rows: int
    missing: int
    counts: dict[str, int]
    others: int = 0
    is_coarse: bool = False


Column = Numbers | Values


def compare_columns(
    before: dict[str, Column], now: dict[str, Column], thresholds: Thresholds | None = None
) -> list[ColumnDrift]:
    """Compare the columns that both have, the one that differs most first."""
    limits = thresholds or Thresholds()
    found: list[ColumnDrift] = []
    for name, old in before.items():
        new = now.get(name)
        if new is None:
            continue
        if isinstance(old, Numbers) and isinstance(new, Numbers):
            found.append(_numbers(name, old, new))
        elif isinstance(old, Values) and isinstance(new, Values):
            found.append(_values(name, old, new))
        else:
            words = "its type changed"
            found.append(ColumnDrift(column=name, kind="values", psi=math.inf, distance=1.0,
                                     p=0.0, words=words))  # fmt: skip
    adjusted = _adjusted([column.p for column in found])
    judged = [_judged(column, p, limits) for column, p in zip(found, adjusted, strict=True)]
    return sorted(judged, key=lambda each: (not each.is_drifted, -each.psi, each.column))


def _adjusted(chances: Sequence[float]) -> list[float]:
    """Adjust chances for how many there are.

    Source:
        Benjamini and Hochberg, "Controlling the false discovery rate", 1995.
    """
    order = sorted(range(len(chances)), key=lambda index: chances[index], reverse=True)
    adjusted = [1.0] * len(chances)
    least = 1.0
    for rank, index in enumerate(order):
        least = min(least, chances[index] * len(chances) / (len(chances) - rank))
        adjusted[index] = least
    return adjusted


def _judged(column: ColumnDrift, p: float, limits: Thresholds) -> ColumnDrift:
    gap = column.missing_now - column.missing_before
    matters = []
    is_new = column.new_share >= limits.new_share and not column.is_coarse
    if (column.psi >= limits.psi or column.distance >= limits.distance) and not (
        is_new and column.words.startswith("other values")  # Said below.
    ):
        matters.append(column.words or "its values are others")
    if abs(gap) >= limits.missing:
        shares = f"{column.missing_now:.1%} of the rows, before in {column.missing_before:.1%}"
        matters.append(f"missing in {shares}")
    if is_new:
        matters.append(
            f"{column.new_share:.1%} have values never seen before, such as {column.new_values[0]}"
        )
    return replace(
        column,
        p_adjusted=p,
        is_drifted=bool(matters) and p < limits.p,
        words="; ".join(matters) if matters and p < limits.p else "",
    )


# --- numbers ------------------------------------------------------------------------------------


def _numbers(name: str, old: Numbers, new: Numbers) -> ColumnDrift:
    import numpy as np

    kind = "times" if old.is_time else "numbers"
    missing = _missing(old, new)
    if not len(old.values) or not len(new.values):
        return ColumnDrift(column=name, kind=kind, is_coarse=old.is_coarse, **missing._asdict())
    edges = np.unique(np.quantile(old.values, np.linspace(0, 1, PARTS + 1)[1:-1]))
    shares = [_shares(column.values, edges) for column in (old, new)]
    both = np.concatenate([old.values, new.values])
    steps = [
        np.searchsorted(column.values, both, side="right") / len(column.values)
        for column in (old, new)
    ]
    distance = float(np.max(np.abs(steps[0] - steps[1])))
    at = (np.arange(GRID) + 0.5) / GRID
    shift = float(np.mean(np.abs(np.quantile(old.values, at) - np.quantile(new.values, at))))
    size = len(old.values) * len(new.values) / len(both)
    p = _kolmogorov((math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)) * distance)
    middle = [float(np.median(column.values)) for column in (old, new)]
    words = f"its median went from {_number(middle[0])} to {_number(middle[1])}"
    if old.is_time:
        words = f"its median moved by {abs(middle[1] - middle[0]) / 86400:,.1f} days"
    return ColumnDrift(
        column=name,
        kind=kind,
        psi=_index(*shares),
        distance=distance,
        shift=shift,
        missing_before=missing.missing_before,
        missing_now=missing.missing_now,
        p=min(1.0, 2 * min(p, missing.p)),  # The smaller of two, for having looked at two.
        bins=_bins(edges, shares, is_time=old.is_time),
        is_coarse=old.is_coarse,
        words=words,
    )


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    places = np.searchsorted(values, edges, side="right")
    counts = np.diff(np.concatenate([[0], places, [len(values)]]))
    shares: NDArray[np.float64] = counts / len(values)
    return shares


def _index(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    import numpy as np

    old, new = np.maximum(before, LEAST_SHARE), np.maximum(now, LEAST_SHARE)
    return float(np.sum((new - old) * np.log(new / old)))


def _kolmogorov(scaled: float) -> float:
    """Tell the chance of so large a distance.

    Source:
        Kolmogorov's distribution; Stephens, "Use of the Kolmogorov-Smirnov statistics without
        extensive tables", 1970, for the scaling.
    """
    if scaled < 0.2:  # noqa: PLR2004 - the series converges slowly there, to 1
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, math.fsum(terms)))


def _bins(
    edges: NDArray[np.float64], shares: list[NDArray[np.float64]], *, is_time: bool
) -> list[Bin]:
    ends = [_time(edge) if is_time else _number(edge) for edge in edges]
    labels = [
        f"to {ends[0]}" if ends else "all",
        *(f"{low} to {high}" for low, high in itertools.pairwise(ends)),
        *([f"above {ends[-1]}"] if ends else []),
    ]
    return [
        Bin(label=label, before=float(before), now=float(now))
        for label, before, now in zip(labels, *shares, strict=True)
    ]


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):  # Beyond the years that a date can have.
        return f"{seconds:.4g} s"


# --- values -------------------------------------------------------------------------------------


def _values(name: str, old: Values, new: Values) -> ColumnDrift:
    import numpy as np

    missing = _missing(old, new)
    totals = [max(1, column.rows - column.missing) for column in (old, new)]
    frequent = sorted(old.counts, key=lambda value: (-old.counts[value], value))[:MOST_VALUES]
    rows = np.array(
        [[column.counts.get(value, 0) for value in frequent] for column in (old, new)],
        dtype=np.float64,
    ).reshape(2, len(frequent))
    rest = np.array(totals) - rows.sum(axis=1)
    if rest.any() or not frequent:
        rows = np.column_stack([rows, rest])
    shares = [row / total for row, total in zip(rows, totals, strict=True)]
    unseen = {value: count for value, count in new.counts.items() if value not in old.counts}
    if old.others or old.is_coarse:  # They may have been there, uncounted.
        unseen = {}
    by_count = sorted(unseen, key=lambda value: (-unseen[value], value))
    p = min(1.0, 2 * min(_homogeneity(rows), missing.p))
    gains = shares[1] - shares[0]
    largest = int(np.argmax(np.abs(gains))) if len(gains) else 0
    label = frequent[largest] if largest < len(frequent) else "other values"
    words = f"{label} went from {shares[0][largest]:.1%} to {shares[1][largest]:.1%}"
    labels = [*frequent, *(["other values"] if len(shares[0]) > len(frequent) else [])]
    return ColumnDrift(
        column=name,
        kind="values",
        psi=_index(*shares),
        distance=float(np.abs(gains).sum() / 2),
        missing_before=missing.missing_before,
        missing_now=missing.missing_now,
        new_values=by_count[:MOST_NEW],
        new_share=sum(unseen.values()) / totals[1],
        p=p,
        bins=[
            Bin(label=each, before=float(before), now=float(now))
            for each, before, now in zip(labels, *shares, strict=True)
        ],
        is_coarse=old.is_coarse,
        words=words,
    )


def _homogeneity(rows: NDArray[np.float64]) -> float:
    """Tell the chance that two rows of counts come from the same shares (Pearson's chi-square)."""
    import numpy as np

    rows = rows[:, rows.sum(axis=0) > 0]
    total = rows.sum()
    if rows.shape[1] < 2 or not rows.sum(axis=1).all():  # noqa: PLR2004 - one value has no shares
        return 1.0
    expected = rows.sum(axis=1, keepdims=True) * rows.sum(axis=0) / total
    return _chi_square(float(np.sum((rows - expected) ** 2 / expected)), rows.shape[1] - 1)


def _chi_square(value: float, freedom: int) -> float:
    """Tell the chance of a chi-square above a value: the upper incomplete gamma function.

    Source:
        Abramowitz and Stegun, "Handbook of Mathematical Functions", 6.5.29 and 6.5.31.
    """
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 1.0
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:  # The series of the lower one.
        term = total = 1 / a
        for n in range(1, 10_000):
            term *= x / (a + n)
            total += term
            if term < total * 1e-15:
                break
        return max(0.0, 1 - scale * total)
    b = x + 1 - a  # The continued fraction, by Lentz's method.
    c, d = 1e300, 1 / b
    fraction = d
    for n in range(1, 10_000):
        step = -n * (n - a)
        b += 2
        d = 1 / (step * d + b or 1e-300)
        c = b + step / c or 1e-300
        change = c * d
        fraction *= change
        if abs(change - 1) < 1e-15:  # noqa: PLR2004 - as far as numbers go
            break
    return min(1.0, scale * fraction)


# --- missing ------------------------------------------------------------------------------------


class _Missing(NamedTuple):
    missing_before: float
    missing_now: float
    p: float


def _missing(old: Column, new: Column) -> _Missing:
    """Compare the shares of missing values."""
    shares = [column.missing / max(1, column.rows) for column in (old, new)]
    total = old.rows + new.rows
    pooled = (old.missing + new.missing) / max(1, total)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / max(1, old.rows) + 1 / max(1, new.rows)))
    p = 1.0
    if spread > 0:
        p = 2 * (1 - NormalDist().cdf(abs(shares[1] - shares[0]) / spread))
    return _Missing(shares[0], shares[1], p)
