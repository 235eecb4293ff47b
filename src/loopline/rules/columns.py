"""Columns of a metric block: the smallest exact form of steps, timestamps and values.

Steps mostly count up by one, timestamps by nearly the same, and values came from 32-bit tensors
more often than not. Each form is exact to the bit, or it is not chosen::

    RAW      8 bytes a value
    STRIDE   first, stride                       an arithmetic progression
    DELTA    first, least distance, width; then what each distance is above the least
    SINGLE   4 bytes a value                     where every value is a 32-bit float
    ZLIB     compressed RAW, where that saves a third

Whole numbers are added modulo 2**64, so that the distance between any two has 64 bits.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from itertools import accumulate, islice, repeat
from operator import sub
from typing import Any

from loopline.errors import IntegrityError
from loopline.rules.points import numpy_for

__all__ = ["pack_real", "pack_whole", "unpack_real", "unpack_whole"]

RAW, STRIDE, DELTA, SINGLE, ZLIB = range(5)
_STRIDE = struct.Struct("<qq")
_DELTA = struct.Struct("<qqB")
_WIDTHS = {1: "B", 2: "H", 4: "I"}
_SPAN = 2**64
#: Values past this many are worth a try with zlib; the first bytes tell whether it helps.
_TRY_ZLIB_FROM = 1024
_SAMPLE_BYTES = 1 << 15


def _wrap(value: int) -> int:
    return (value + 2**63) % _SPAN - 2**63


def pack_whole(column: array[int]) -> tuple[int, bytes]:
    """Choose a form for whole numbers; return it with the bytes."""
    count = len(column)
    if count < 3:  # noqa: PLR2004 - no form is smaller
        return RAW, column.tobytes()
    np = numpy_for(count)
    if np is not None:
        return _pack_many(np, column)
    distances = list(map(sub, islice(column, 1, None), column))
    least, most = min(distances), max(distances)
    if not -(2**63) <= least <= most < 2**63:
        return RAW, column.tobytes()
    if least == most:
        return STRIDE, _STRIDE.pack(column[0], least)
    width = _width(most - least)
    if width is None:
        return RAW, column.tobytes()
    above = array(_WIDTHS[width], map(sub, distances, repeat(least)))
    return DELTA, _DELTA.pack(column[0], least, width) + above.tobytes()


def _pack_many(np: Any, column: array[int]) -> tuple[int, bytes]:  # noqa: ANN401 - the module
    values = np.frombuffer(column, dtype=np.int64)
    if int(values.max()) - int(values.min()) >= 2**63:
        return RAW, column.tobytes()
    distances = np.diff(values)
    least, most = int(distances.min()), int(distances.max())
    if least == most:
        return STRIDE, _STRIDE.pack(column[0], least)
    width = _width(most - least)
    if width is None:
        return RAW, column.tobytes()
    above = (distances - least).astype(f"<u{width}")
    return DELTA, _DELTA.pack(column[0], least, width) + above.tobytes()


def _width(span: int) -> int | None:
    return next((width for width in _WIDTHS if span < 256**width), None)


def unpack_whole(form: int, data: bytes, count: int) -> array[int]:
    """Read whole numbers back."""
    if form == RAW:
        return array("q", data)
    np = numpy_for(count)
    if form == STRIDE:
        first, stride = _STRIDE.unpack(data)
        if np is not None:
            found = np.arange(count, dtype=np.int64)
            found *= stride
            found += first
            return array("q", found.tobytes())
        last = first + stride * (count - 1)
        if stride and -(2**63) <= last < 2**63:
            return array("q", range(first, last + (1 if stride > 0 else -1), stride))
        return array("q", (_wrap(first + stride * index) for index in range(count)))
    if form != DELTA:
        _refuse(form)
    first, least, width = _DELTA.unpack_from(data)
    above = data[_DELTA.size :]
    if np is not None:
        steps = np.empty(count, dtype=np.int64)
        steps[0] = first
        steps[1:] = np.frombuffer(above, dtype=f"<u{width}")
        steps[1:] += least
        return array("q", np.cumsum(steps).tobytes())
    distances = (least + more for more in array(_WIDTHS[width], above))
    return array("q", accumulate(distances, initial=first))


def pack_real(column: array[float]) -> tuple[int, bytes]:
    """Choose a form for decimals; return it with the bytes."""
    raw = column.tobytes()
    try:
        single = _to_single(column)
    except OverflowError:
        single = b""
    if single and _from_single(single).tobytes() == raw:
        return SINGLE, single
    if len(column) >= _TRY_ZLIB_FROM:
        sample = raw[:_SAMPLE_BYTES]
        if len(zlib.compress(sample, 1)) < len(sample) * 2 // 3:
            small = zlib.compress(raw, 1)
            if len(small) < len(raw) * 2 // 3:
                return ZLIB, small
    return RAW, raw


def unpack_real(form: int, data: bytes, count: int) -> array[float]:
    """Read decimals back."""
    if form == RAW:
        return array("d", data)
    if form == SINGLE:
        return _from_single(data)
    if form != ZLIB:
        _refuse(form)
    # Bounded: a block is as long as it says, whatever the compressed bytes would become.
    reader = zlib.decompressobj()
    raw = reader.decompress(data, 8 * count)
    if reader.decompress(reader.unconsumed_tail, 1):
        msg = "more values than it says"
        raise ValueError(msg)
    return array("d", raw)


def _to_single(column: array[float]) -> bytes:
    np = numpy_for(len(column))
    if np is None:
        return array("f", column).tobytes()
    with np.errstate(over="ignore", invalid="ignore"):
        return bytes(np.frombuffer(column, dtype=np.float64).astype(np.float32).tobytes())


def _from_single(data: bytes) -> array[float]:
    np = numpy_for(len(data) // 4)
    if np is None:
        return array("d", array("f", data))
    return array("d", np.frombuffer(data, dtype=np.float32).astype(np.float64).tobytes())


def _refuse(form: int) -> None:
    msg = f"A metric block has a column of an unknown form ({form}). Upgrade Loopline."
    raise IntegrityError(msg)
