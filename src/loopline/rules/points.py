"""Points of one metric as three columns: their one order, their union, their summary.

Points are a set on (step, timestamp, value): the same point sent twice is one point. NumPy is
used where it is installed and the points are many; what comes out is the same to the bit.
"""

from __future__ import annotations

import math
import sys
from array import array
from functools import cache
from importlib.util import find_spec
from itertools import islice
from operator import lt
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Points", "Summary", "are_apart", "merge", "merge_summaries", "numpy_for", "summarise",
    "without",
]  # fmt: skip

#: From here on NumPy is worth its import; below, and without it, plain Python does.
NUMPY_FROM = 20_000


class Points(NamedTuple):
    """Points of one metric: steps and timestamps as ``array("q")``, values as ``array("d")``."""

    steps: array[int]
    timestamps_ms: array[int]
    values: array[float]

    @classmethod
    def from_columns(cls, steps: bytes, timestamps_ms: bytes, values: bytes) -> Points:
        """Read packed little-endian columns.

        Raises:
            InvalidInputError: The columns differ in length or are not whole numbers of values.
        """
        if not len(steps) == len(timestamps_ms) == len(values) or len(steps) % 8:
            msg = (
                "The columns of a metric differ in length "
                f"({len(steps)}, {len(timestamps_ms)} and {len(values)} bytes); "
                "send eight bytes a point in each."
            )
            raise InvalidInputError(msg)
        return cls(_whole(steps), _whole(timestamps_ms), _real(values))

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[int, int, float]]) -> Points:
        """Turn (step, timestamp, value) rows into columns."""
        if not rows:
            return cls(array("q"), array("q"), array("d"))
        steps, timestamps, values = zip(*rows, strict=True)
        return cls(array("q", steps), array("q", timestamps), array("d", values))

    def to_columns(self) -> tuple[bytes, bytes, bytes]:
        """Pack each column, eight little-endian bytes a point."""
        steps, timestamps, values = (_to_bytes(column) for column in self)
        return steps, timestamps, values

    def rows(self) -> list[tuple[int, int, float]]:
        """Turn the columns into (step, timestamp, value) rows."""
        return list(zip(self.steps, self.timestamps_ms, self.values, strict=True))

    def at(self, index: int) -> tuple[int, int, float]:
        """Return one point."""
        return self.steps[index], self.timestamps_ms[index], self.values[index]

    def part(self, start: int, end: int) -> Points:
        """Return the points from one place up to another."""
        return Points(self.steps[start:end], self.timestamps_ms[start:end], self.values[start:end])

    def take(self, indices: Sequence[int]) -> Points:
        """Return the points at some places, in that order."""
        return Points(
            array("q", [self.steps[index] for index in indices]),
            array("q", [self.timestamps_ms[index] for index in indices]),
            array("d", [self.values[index] for index in indices]),
        )

    def __len__(self) -> int:
        """Number of points."""
        return len(self.steps)


class Summary(NamedTuple):
    """What a metric's points amount to; see ``records.tracking.MetricSummary``.

    Attributes:
        min: None when every value is NaN; likewise ``max`` and ``sum``.
        finite: Values that are not NaN, infinities included.
        points: All values.
    """

    value: float
    step: int
    timestamp_ms: int
    min: float | None
    max: float | None
    sum: float | None
    finite: int
    points: int
    first_step: int
    last_step: int


@cache
def _has_numpy() -> bool:
    return find_spec("numpy") is not None


def numpy_for(count: int) -> Any:  # noqa: ANN401 - the module, or None
    """Return NumPy when it helps with this many points and is there, else None."""
    if count < NUMPY_FROM or not _has_numpy():
        return None
    import numpy as np

    return np


def order_of(row: tuple[int, int, float]) -> tuple[int, int, bool, float]:
    """Order points by step, timestamp and value, NaN before every number."""
    step, timestamp, value = row
    is_number = not math.isnan(value)
    return step, timestamp, is_number, value if is_number else 0.0


def are_apart(last: tuple[int, int, float], first: tuple[int, int, float]) -> bool:
    """Tell whether one set of points ends before another begins."""
    return order_of(last) < order_of(first)


def merge(parts: Sequence[Points]) -> Points:
    """Join points into one ordered set: equal (step, timestamp, value) count once."""
    joined = parts[0] if len(parts) == 1 else _join(parts)
    if _is_ordered(joined):
        return joined
    np = numpy_for(len(joined))
    return _sort(joined) if np is None else _sort_many(np, joined)


def without(points: Points, known: Points) -> Points:
    """Leave out points that are known; how they differ is as in ``merge``."""
    seen = set(map(order_of, known.rows()))
    kept = [row for row in points.rows() if order_of(row) not in seen]
    return points if len(kept) == len(points) else Points.from_rows(kept)


def _join(parts: Sequence[Points]) -> Points:
    return Points(
        array("q", b"".join([part.steps for part in parts])),
        array("q", b"".join([part.timestamps_ms for part in parts])),
        array("d", b"".join([part.values for part in parts])),
    )


def _is_ordered(points: Points) -> bool:
    """Tell whether points are in order and distinct, as they nearly always come."""
    steps = points.steps
    if numpy_for(len(points)) is None:
        if all(map(lt, steps, islice(steps, 1, None))):
            return True
        orders = list(map(order_of, points.rows()))
        return all(map(lt, orders, islice(orders, 1, None)))
    return _are_many_ordered(points)


def _are_many_ordered(points: Points) -> bool:
    import numpy as np

    steps = np.frombuffer(points.steps, dtype=np.int64)
    if bool((steps[1:] > steps[:-1]).all()):
        return True
    times = np.frombuffer(points.timestamps_ms, dtype=np.int64)
    numbers, values = _keys(np, points)
    less = numbers[1:] > numbers[:-1]
    less |= (numbers[1:] == numbers[:-1]) & (values[1:] > values[:-1])
    less = (times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & less)
    less = (steps[1:] > steps[:-1]) | ((steps[1:] == steps[:-1]) & less)
    return bool(less.all())


def _sort(points: Points) -> Points:
    # Of the two zeros, which are equal, the positive one is kept, however the points were cut.
    rows = sorted(points.rows(), key=lambda row: (order_of(row), _is_negative_zero(row[2])))
    kept: list[tuple[int, int, float]] = []
    last: tuple[int, int, bool, float] | None = None
    for row in rows:
        # By key and not by value, for NaN is not equal to itself.
        key = order_of(row)
        if key != last:
            kept.append(row)
        last = key
    return Points.from_rows(kept)


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1.0, value) < 0


def _sort_many(np: Any, points: Points) -> Points:  # noqa: ANN401 - the module
    steps = np.frombuffer(points.steps, dtype=np.int64)
    times = np.frombuffer(points.timestamps_ms, dtype=np.int64)
    raw = np.frombuffer(points.values, dtype=np.float64)
    numbers, values = _keys(np, points)
    # The last key first; of the two zeros, which are equal, the positive one comes first.
    order = np.lexsort((np.signbit(values), values, numbers, times, steps))
    new = np.ones(len(order), dtype=bool)
    columns = [column[order] for column in (steps, times, numbers, values)]
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    kept = order[new]
    return Points(
        array("q", steps[kept].tobytes()),
        array("q", times[kept].tobytes()),
        array("d", raw[kept].tobytes()),
    )


def _keys(np: Any, points: Points) -> tuple[Any, Any]:  # noqa: ANN401 - the module
    """Tell which values are numbers, and make NaN one: it compares with nothing."""
    values = np.frombuffer(points.values, dtype=np.float64)
    numbers = ~np.isnan(values)
    return numbers, np.where(numbers, values, 0.0)


def summarise(points: Points) -> Summary:
    """Sum up points that are one ordered set (from ``merge``), at least one."""
    step, timestamp_ms, value = points.at(-1)
    np = numpy_for(len(points))
    if np is None:
        numbers: Any = [each for each in points.values if not math.isnan(each)]
        least, most = min(numbers, default=None), max(numbers, default=None)
        total = _sum(numbers)
    else:
        raw = np.frombuffer(points.values, dtype=np.float64)
        numbers = raw[~np.isnan(raw)]
        least = float(numbers.min()) if len(numbers) else None
        most = float(numbers.max()) if len(numbers) else None
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(numbers.sum()) if len(numbers) else None
    return Summary(
        value=value,
        step=step,
        timestamp_ms=timestamp_ms,
        min=least,
        max=most,
        sum=total,
        finite=len(numbers),
        points=len(points),
        first_step=points.steps[0],
        last_step=step,
    )


def _sum(numbers: list[float]) -> float | None:
    if not numbers:
        return None
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # Too large for a float, or both infinities.
        return sum(numbers)


def merge_summaries(first: Summary, second: Summary) -> Summary:
    """Sum up two disjoint sets of points from their summaries."""
    latest = max(
        first, second, key=lambda part: order_of((part.step, part.timestamp_ms, part.value))
    )
    known = [part for part in (first, second) if part.finite]
    return Summary(
        value=latest.value,
        step=latest.step,
        timestamp_ms=latest.timestamp_ms,
        min=min((part.min for part in known if part.min is not None), default=None),
        max=max((part.max for part in known if part.max is not None), default=None),
        sum=_sum([part.sum for part in known if part.sum is not None]),
        finite=first.finite + second.finite,
        points=first.points + second.points,
        first_step=min(first.first_step, second.first_step),
        last_step=max(first.last_step, second.last_step),
    )


def _whole(data: bytes) -> array[int]:
    column = array("q", data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _real(data: bytes) -> array[float]:
    column = array("d", data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _to_bytes(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()
