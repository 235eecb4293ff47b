"""Metric blocks: points of one metric as three packed columns, and what a summary says of them.

A block is a 6-byte head (format version, flags, number of points) and then the steps (int64),
timestamps (int64, Unix ms) and values (float64), little-endian, each column whole. Blocks past
``COMPRESS_FROM`` points are compressed with zlib: steps and timestamps delta-coded shrink to
almost nothing, values hardly, which is why it is not worth the time for small blocks.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from itertools import accumulate
from typing import NamedTuple

from loopline.errors import IntegrityError, InvalidInputError

__all__ = [
    "Points",
    "Summary",
    "merge",
    "merge_summaries",
    "pack",
    "reduce_points",
    "summarise",
    "unpack",
]

_HEAD = struct.Struct("<BBI")
_FORMAT = 1
_COMPRESSED = 1
COMPRESS_FROM = 512


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
    def from_rows(cls, rows: list[tuple[int, int, float]]) -> Points:
        """Turn (step, timestamp, value) rows into columns."""
        if not rows:
            return cls(array("q"), array("q"), array("d"))
        steps, timestamps, values = zip(*rows, strict=True)
        return cls(array("q", steps), array("q", timestamps), array("d", values))

    def rows(self) -> list[tuple[int, int, float]]:
        """Turn the columns into (step, timestamp, value) rows."""
        return list(zip(self.steps, self.timestamps_ms, self.values, strict=True))

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


def _deltas(column: array[int]) -> array[int]:
    """Code each value as its distance from the one before, modulo 2**64."""
    coded = array("q", [0]) * len(column)
    before = 0
    for index, value in enumerate(column):
        coded[index] = _wrap(value - before)
        before = value
    return coded


def _wrap(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _from_deltas(coded: array[int]) -> array[int]:
    return array("q", accumulate(coded, lambda total, delta: _wrap(total + delta)))


def pack(points: Points) -> bytes:
    """Encode points as one block, in the order given."""
    count = len(points)
    if count < COMPRESS_FROM:
        body = b"".join(_to_bytes(column) for column in points)
        return _HEAD.pack(_FORMAT, 0, count) + body
    body = b"".join(
        (
            _to_bytes(_deltas(points.steps)),
            _to_bytes(_deltas(points.timestamps_ms)),
            _to_bytes(points.values),
        )
    )
    return _HEAD.pack(_FORMAT, _COMPRESSED, count) + zlib.compress(body, 1)


def unpack(block: bytes) -> Points:
    """Decode a block.

    Raises:
        IntegrityError: The bytes are not a block.
    """
    try:
        version, flags, count = _HEAD.unpack_from(block)
        body = block[_HEAD.size :]
        if flags & _COMPRESSED:
            body = zlib.decompress(body)
    except (struct.error, zlib.error) as error:
        msg = f"A metric block cannot be read ({error}). Restore the store from a backup."
        raise IntegrityError(msg) from error
    if version != _FORMAT or len(body) != 24 * count:
        msg = "A metric block has a wrong length or format. Restore the store from a backup."
        raise IntegrityError(msg)
    size = 8 * count
    points = Points.from_columns(body[:size], body[size : 2 * size], body[2 * size :])
    if flags & _COMPRESSED:
        return Points(_from_deltas(points.steps), _from_deltas(points.timestamps_ms), points.values)
    return points


def _order(row: tuple[int, int, float]) -> tuple[int, int, bool, float]:
    """Order points by step, timestamp and value, NaN before every number."""
    step, timestamp, value = row
    is_number = not math.isnan(value)
    return step, timestamp, is_number, value if is_number else 0.0


def merge(parts: list[Points]) -> Points:
    """Join points into one ordered set: equal (step, timestamp, value) count once."""
    rows = [row for part in parts for row in part.rows()]
    rows.sort(key=_order)
    kept: list[tuple[int, int, float]] = []
    last: tuple[int, int, bool, float] | None = None
    for row in rows:
        # By key and not by value, for NaN is not equal to itself.
        key = _order(row)
        if key != last:
            kept.append(row)
        last = key
    return Points.from_rows(kept)


def summarise(points: Points) -> Summary:
    """Sum up at least one point."""
    latest = max(points.rows(), key=_order)
    numbers = [value for value in points.values if not math.isnan(value)]
    return Summary(
        value=latest[2],
        step=latest[0],
        timestamp_ms=latest[1],
        min=min(numbers, default=None),
        max=max(numbers, default=None),
        sum=_sum(numbers),
        finite=len(numbers),
        points=len(points),
        first_step=min(points.steps),
        last_step=max(points.steps),
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
    latest = max(first, second, key=lambda part: _order((part.step, part.timestamp_ms, part.value)))
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


def reduce_points(points: Points, most: int) -> Points:
    """Thin ordered points out to about ``most`` so that a chart looks the same.

    Of each bucket of neighbours the least and the greatest value stay, and so do the very
    first and last point; NaN points are kept only where a bucket has nothing else.
    """
    count = len(points)
    if most <= 0 or count <= most:
        return points
    buckets = max(1, most // 2)
    values = points.values
    keep = {0, count - 1}
    for bucket in range(buckets):
        inside = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        numbers = [index for index in inside if not math.isnan(values[index])] or list(inside[:1])
        if numbers:
            keep.add(min(numbers, key=values.__getitem__))
            keep.add(max(numbers, key=values.__getitem__))
    order = sorted(keep)
    return Points(
        array("q", [points.steps[i] for i in order]),
        array("q", [points.timestamps_ms[i] for i in order]),
        array("d", [points.values[i] for i in order]),
    )
