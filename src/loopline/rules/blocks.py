"""Metric blocks: some points of one metric as bytes, and a few of them to draw a chart from.

A block is a head (format, number of points) and three columns, each a form, a length and its
bytes (``rules/columns.py``), little-endian. Points in a block are one ordered set.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

from loopline.errors import IntegrityError
from loopline.rules.columns import pack_real, pack_whole, unpack_real, unpack_whole
from loopline.rules.points import Points, numpy_for

if TYPE_CHECKING:
    from array import array

__all__ = ["pack", "pack_point", "reduce_points", "unpack", "unpack_point"]

_HEAD = struct.Struct("<BI")
_COLUMN = struct.Struct("<BI")
_POINT = struct.Struct("<qqd")
_FORMAT = 2

if sys.byteorder == "big":  # pragma: no cover - columns are packed as the machine has them
    msg = "Loopline's store needs a little-endian machine, as all current ones are."
    raise ImportError(msg)


def pack(points: Points) -> bytes:
    """Encode points as one block, in the order given."""
    parts = [_HEAD.pack(_FORMAT, len(points))]
    for form, data in (
        pack_whole(points.steps),
        pack_whole(points.timestamps_ms),
        pack_real(points.values),
    ):
        parts += (_COLUMN.pack(form, len(data)), data)
    return b"".join(parts)


def unpack(block: bytes) -> Points:
    """Decode a block.

    Raises:
        IntegrityError: The bytes are not a block.
    """
    try:
        version, count = _HEAD.unpack_from(block)
        if version != _FORMAT:
            raise ValueError(f"format {version}")  # noqa: TRY301
        offset = _HEAD.size
        columns: list[Any] = []
        for read in (unpack_whole, unpack_whole, unpack_real):
            form, length = _COLUMN.unpack_from(block, offset)
            offset += _COLUMN.size
            columns.append(read(form, block[offset : offset + length], count))
            offset += length
    except (struct.error, zlib.error, ValueError, KeyError, OverflowError) as error:
        raise _broken(str(error)) from error
    if offset != len(block) or any(len(column) != count for column in columns):
        raise _broken("a wrong length")
    return Points(*columns)


def _broken(why: str) -> IntegrityError:
    return IntegrityError(f"A metric block cannot be read ({why}). Restore it from a backup.")


def pack_point(point: tuple[int, int, float]) -> bytes:
    """Encode one point."""
    return _POINT.pack(*point)


def unpack_point(data: bytes) -> tuple[int, int, float]:
    """Decode one point."""
    step, timestamp_ms, value = _POINT.unpack(data)
    return step, timestamp_ms, value


def reduce_points(points: Points, most: int) -> Points:
    """Thin ordered points out to about ``most`` so that a chart looks the same.

    Of each bucket of neighbours the least and the greatest value stay, and so do the very
    first and last point; NaN points are kept only where a bucket has nothing else.
    """
    count = len(points)
    if most <= 0 or count <= most:
        return points
    buckets = max(1, most // 2)
    np = numpy_for(count)
    keep = {0, count - 1}
    keep.update(
        _extremes(points.values, buckets)
        if np is None
        else _extremes_of_many(np, points.values, buckets)
    )
    return points.take(sorted(keep))


def _extremes(values: array[float], buckets: int) -> set[int]:
    keep: set[int] = set()
    count = len(values)
    for bucket in range(buckets):
        inside = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        numbers = [index for index in inside if not math.isnan(values[index])] or list(inside[:1])
        if numbers:
            keep.add(min(numbers, key=values.__getitem__))
            keep.add(max(numbers, key=values.__getitem__))
    return keep


def _extremes_of_many(np: Any, column: array[float], buckets: int) -> set[int]:  # noqa: ANN401
    """Find the extremes of buckets of equal width; the last one takes what is left over."""
    values = np.frombuffer(column, dtype=np.float64)
    width = len(values) // buckets
    whole = values[: width * buckets].reshape(buckets, width)
    starts = np.arange(buckets) * width
    hollow = np.isnan(whole)
    least = np.where(hollow, np.inf, whole).argmin(axis=1) + starts
    most = np.where(hollow, -np.inf, whole).argmax(axis=1) + starts
    keep = set(least.tolist()) | set(most.tolist())
    rest = values[width * buckets :]
    if len(rest) and not np.isnan(rest).all():
        keep.add(width * buckets + int(np.nanargmin(rest)))
        keep.add(width * buckets + int(np.nanargmax(rest)))
    return keep
