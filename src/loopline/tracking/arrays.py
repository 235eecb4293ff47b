"""Whole histories: arrays of metric values turned into packed columns, a fact ten thousand.

NumPy is used when the caller does; without it lists and ``array`` go through the same road.
"""

from __future__ import annotations

import sys
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from loopline.errors import InvalidInputError
from loopline.records.facts import MetricPoints
from loopline.tracking.values import metric_value, told, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["History", "histories", "is_history"]

#: Points in one fact: 240 kB, of which four fit in a segment of the journal.
POINTS = 10_000
#: What NumPy calls the kind of its dates.
_DATES = "M"


class _Given:
    """A column that was given, packed."""

    def __init__(self, packed: Any) -> None:  # noqa: ANN401 - any buffer of whole words
        self._words = memoryview(packed).cast("B")
        self.count = len(self._words) // 8

    def part(self, start: int, stop: int) -> memoryview:
        """Get some of it, without a copy."""
        return self._words[8 * start : 8 * stop]


class _Same:
    """A column of one number over and over."""

    def __init__(self, number: int, count: int) -> None:
        self._words = memoryview(
            _little((array("q", [number]) * min(count, POINTS)).tobytes(), "q")
        )
        self.count = count

    def part(self, start: int, stop: int) -> memoryview:
        """Get some of it; all parts share one piece of memory."""
        return self._words[: 8 * (stop - start)]


class _Counted:
    """A column that counts up, made a part at a time."""

    def __init__(self, first: int, count: int) -> None:
        whole_number("step", first + count)
        self._first = first
        self.count = count

    def part(self, start: int, stop: int) -> memoryview:
        """Make some of it."""
        start, stop = self._first + start, self._first + stop
        np = sys.modules.get("numpy")
        if np is not None:
            return memoryview(np.arange(start, stop, dtype="<i8")).cast("B")
        return memoryview(_little(array("q", range(start, stop)).tobytes(), "q"))


_Column = _Given | _Same | _Counted


class History:
    """A metric's history, checked: its columns are copied once, into the journal.

    Attributes:
        key: The metric's key.
    """

    __slots__ = ("_steps", "_timestamps_ms", "_values", "key")

    def __init__(self, key: str, steps: _Column, timestamps_ms: _Column, values: _Given) -> None:
        self.key = key
        self._steps = steps
        self._timestamps_ms = timestamps_ms
        self._values = values

    def facts(self, run_id: str) -> Iterator[MetricPoints]:
        """Cut the history into facts for a run's journal."""
        for start in range(0, self._values.count, POINTS):
            stop = min(start + POINTS, self._values.count)
            # Views, which the journal encodes as it does bytes: a copy less of a long history.
            yield MetricPoints(
                run_id=run_id,
                key=self.key,
                steps=cast("bytes", self._steps.part(start, stop)),
                timestamps_ms=cast("bytes", self._timestamps_ms.part(start, stop)),
                values=cast("bytes", self._values.part(start, stop)),
            )


def is_history(value: Any) -> bool:  # noqa: ANN401
    """Whether a metric's value is a whole history, and not one number.

    Arrays of one element count as a number, as people often have their losses in them.
    """
    if isinstance(value, (float, int)):
        return False
    if isinstance(value, (list, tuple, range, array)):
        return True
    if isinstance(value, (str, bytes, bytearray, memoryview, dict, set)):
        return False
    shape = getattr(value, "shape", None)
    if shape is None:
        return hasattr(value, "__len__") and hasattr(value, "__array__")
    try:
        return len(shape) == 1 and shape[0] != 1
    except TypeError:  # A shape that is not known yet.
        return False


def histories(
    metrics: dict[str, Any],
    *,
    steps: Any,  # noqa: ANN401
    timestamps: Any,  # noqa: ANN401
    first_step: int,
    now_ms: int,
) -> list[History]:
    """Check and pack whole histories; all of them or, when one cannot be, none.

    Args:
        metrics: Key to values, shape (n,); NaN and infinities are kept.
        steps: Shape (n,), or None to count up from ``first_step``.
        timestamps: Unix milliseconds or dates, shape (n,); one for all, or None for ``now_ms``.
        first_step: Step of the first value when there are no ``steps``.
        now_ms: Unix time in milliseconds.

    Raises:
        InvalidInputError: Values that are no numbers, or columns that differ in length; names
            the key.
    """
    # Most often all metrics have the same steps and times: they are packed once.
    columns: dict[tuple[str, int], _Column] = {}
    found = []
    for key, given in metrics.items():
        values = _values(key, given)
        count = values.count
        for name, column, first in (
            ("steps", steps, first_step),
            ("timestamps", timestamps, now_ms),
        ):
            known = columns.get((name, count))
            if known is None:
                known = columns[name, count] = _whole_column(key, name, column, count, first)
            if known.count != count:
                msg = (
                    f"The {name} of metric {key!r} are {known.count:,}, and its values {count:,}. "
                    "Give as many of one as of the other, or log each metric in a call of its own."
                )
                raise InvalidInputError(msg)
        found.append(History(key, columns["steps", count], columns["timestamps", count], values))
    return found


def _values(key: str, given: Any) -> _Given:  # noqa: ANN401
    """Pack values as float64."""
    if not isinstance(given, (list, tuple, range, array)):
        packed = _values_of_array(key, given)
        if packed is not None:
            return packed
    try:
        column = array("d", given)
    except (TypeError, ValueError, OverflowError):
        # Scalars of some library, or the one wrong value among them, which is to be named.
        try:
            column = array("d", (metric_value(key, value) for value in given))
        except TypeError:
            column = array("d", [metric_value(key, given)])  # One number, where rows are meant.
    return _Given(_little(column.tobytes(), "d"))


def _values_of_array(key: str, given: Any) -> _Given | None:  # noqa: ANN401
    """Pack an array of NumPy, pandas, torch, JAX or the like; None when it is none of numbers."""
    np = _numpy(given)
    if np is None:
        return None
    found = _as_numpy(np, key, given)
    if found.ndim == 0:
        found = found.reshape(1)
    if found.ndim != 1:
        msg = (
            f"Metric {key!r} must be one number or a row of them, shape (n,), not an array of "
            f"shape {tuple(found.shape)}. Log each column under a key of its own."
        )
        raise InvalidInputError(msg)
    if found.dtype.kind == "V" and found.dtype.names is None:
        # The short floats of JAX and others, such as bfloat16, which NumPy itself has not.
        with suppress(TypeError, ValueError):
            found = found.astype("<f8")
    if found.dtype.kind not in "fiub":
        if found.dtype.kind == "O":
            return None
        msg = (
            f"Metric {key!r} must hold real numbers, not {found.dtype}. Convert it, for example "
            "with array.astype(float)."
        )
        raise InvalidInputError(msg)
    if np.ma.isMaskedArray(found):  # What is masked is not known: it must not count as a value.
        found = found.astype("<f8").filled(np.nan)
    return _Given(np.ascontiguousarray(found, dtype="<f8"))


def _whole_column(key: str, name: str, given: Any, count: int, first: int) -> _Column:  # noqa: ANN401
    """Pack steps or timestamps as int64: those given, one for all, or by default.

    A metric's key is named in errors. Times may have fractions, which are cut.
    """
    if given is None:
        return _Same(first, count) if name == "timestamps" else _Counted(first, count)
    if isinstance(given, int):
        return _Same(whole_number(name, given, key), count)
    np = None if isinstance(given, (list, tuple, range, array)) else _numpy(given)
    if np is not None:
        found = _as_numpy(np, name, given).reshape(-1)
        if name == "timestamps" and getattr(getattr(given, "dtype", None), "tz", None) is not None:
            found = np.asarray(given, dtype="datetime64[ns]")  # Of pandas: instants, in UTC.
        if np.ma.is_masked(found) or (found.dtype.kind == _DATES and np.isnat(found).any()):
            msg = (
                f"Some of the {name} of metric {key!r} are missing. Leave their points out, or "
                "fill them in."
            )
            raise InvalidInputError(msg)
        if found.dtype.kind == _DATES:
            found = found.astype("datetime64[ms]").astype("<i8")
        is_whole = found.dtype.kind == "f" and (
            name == "timestamps" or bool((found == np.floor(found)).all())
        )
        if is_whole or found.dtype.kind in "iub":
            # The bound itself is a number of 64 bits that no float below it is close to.
            if found.size and not -(2.0**63) <= found.min() <= found.max() < 2**63:
                msg = (
                    f"The {name} of metric {key!r} must be whole numbers below 2**63, and lie "
                    f"between {found.min()} and {found.max()}. Leave out those that cannot be."
                )
                raise InvalidInputError(msg)
            return _Given(np.ascontiguousarray(found, dtype="<i8"))
        if found.dtype.kind != "O":
            msg = (
                f"The {name} of metric {key!r} must be whole numbers, not {found.dtype} "
                f"({told(found)}). Convert them, for example with array.astype(int)."
            )
            raise InvalidInputError(msg)
        given = found.tolist()
    try:
        column = array("q", given)
    except (TypeError, ValueError, OverflowError):
        try:
            column = array("q", (whole_number(name[:-1], value, key) for value in given))
        except TypeError:
            msg = (
                f"The {name} of metric {key!r} must be a row of whole numbers, not "
                f"{type(given).__name__}. Give a list or an array."
            )
            raise InvalidInputError(msg) from None
    return _Given(_little(column.tobytes(), "q"))


def _numpy(given: Any) -> Any:  # noqa: ANN401
    """NumPy, where the value can be had as its array: whoever made it has NumPy, or has not."""
    if not hasattr(given, "__array__"):
        return None
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def _as_numpy(np: Any, name: str, given: Any) -> Any:  # noqa: ANN401
    detach = getattr(given, "detach", None)
    try:
        # A torch tensor may want a gradient, live on a device, and be of a type NumPy has not.
        if detach is not None:
            given = detach().cpu()
            if given.is_floating_point():
                given = given.double()
        return np.asanyarray(given) if np.ma.isMaskedArray(given) else np.asarray(given)
    except Exception as error:
        msg = (
            f"{name!r} cannot be read as an array ({type(given).__name__}: {error}). Convert it "
            "to a NumPy array or a list of numbers."
        )
        raise InvalidInputError(msg) from error


def _little(data: bytes, typecode: str) -> bytes:
    if sys.byteorder == "little":
        return data
    column: array[Any] = array(typecode, data)
    column.byteswap()
    return column.tobytes()
