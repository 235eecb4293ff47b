"""Profiles of arrays: a column each where there are columns, one over all values where not.

A row of an array is what its first axis counts. An array of shape (n,) is one column, one of
shape (n, m) is m columns, named by their number. More axes have no columns: a profile over all
values says how large the pixels are and whether any is missing.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.data.columns import summary_for
from loopline.data.profile import (
    MOST_PROFILES,
    SAMPLE_ROWS,
    Description,
    RowSample,
    describe_table,
    describe_tables,
)
from loopline.data.tables import column_of, table_of_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.records.tracking import ColumnProfile

__all__ = ["describe_arrays"]

#: Values turned into Arrow at a time: what is not contiguous is copied.
CELLS = 1 << 22
#: Axes of an array that has columns.
MATRIX = 2
#: Bytes of the longest float that Arrow has.
DOUBLE = 8
ARROW_UNITS = {"s", "ms", "us", "ns"}


def describe_arrays(arrays: Mapping[str, NDArray[Any]]) -> Description:
    """Describe arrays under names; an array alone has its columns named ``"0"``, ``"1"``, ….

    The rows are the length that all arrays have in common. Profiles take pyarrow, of the extra
    ``data``; without it there are the shapes, as for what has no profile: complex numbers,
    records.
    """
    lengths = {array.shape[0] if array.shape else None for array in arrays.values()}
    profile: dict[str, ColumnProfile] = {}
    sampled: list[int] = []
    for name, array in arrays.items():
        room = MOST_PROFILES - len(profile)
        if room and find_spec("pyarrow") is not None:
            found = _describe(name, array, room, is_alone=len(arrays) == 1)
            profile.update(found.profile)
            sampled += [] if found.sampled_rows is None else [found.sampled_rows]
    is_tabular = all(array.ndim in {1, MATRIX} for array in arrays.values())
    return Description(
        rows=lengths.pop() if len(lengths) == 1 else None,
        columns={name: f"{one.dtype}{list(one.shape[1:])}" for name, one in arrays.items()},
        column_count=sum(map(_width, arrays.values())) if is_tabular else None,
        profile=profile,
        sampled_rows=min(sampled, default=None),
    )


def _width(array: NDArray[Any]) -> int:
    return int(array.shape[1]) if array.ndim == MATRIX else 1


def _describe(name: str, array: NDArray[Any], room: int, *, is_alone: bool) -> Description:
    """Make the profile of one array, of at most ``room`` columns."""
    import pyarrow as pa

    if array.ndim == 0:
        array = array.reshape(1)
    names = [name]
    if array.ndim == MATRIX:
        array = array[:, :room]
        names = [str(i) if is_alone else f"{name}[{i}]" for i in range(array.shape[1])]
    if array.dtype.hasobject or array.dtype.kind == "U":  # Text, which may hold no text.
        flat = [array[:, i] for i in range(len(names))] if array.ndim == MATRIX else [array.ravel()]
        made = [column_of(one, values) for one, values in zip(names, flat, strict=True)]
        return describe_table(table_of_columns(names, made))
    try:
        kind = _arrow(array[:0].ravel()).type
    except (pa.ArrowException, TypeError, ValueError):
        return Description()  # Complex numbers, records, and what else is no column.
    if array.ndim > MATRIX:
        return _describe_values(name, array, kind)
    schema = pa.schema([(one, kind) for one in names])
    return describe_tables(schema, _batches(schema, array.reshape(len(array), len(names))))


def _batches(schema: pa.Schema, columns: NDArray[Any]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    rows = max(1, CELLS // max(1, columns.shape[1]))
    for start in range(0, len(columns), rows):
        part = columns[start : start + rows]
        yield pa.RecordBatch.from_arrays(
            [_arrow(part[:, index]) for index in range(part.shape[1])], schema=schema
        )


def _describe_values(name: str, array: NDArray[Any], kind: pa.DataType) -> Description:
    """Make one profile over all values; of many, quantiles and top values are of a sample."""
    summary = summary_for(kind)
    sample = RowSample(SAMPLE_ROWS)
    step = max(1, CELLS * len(array) // max(1, array.size))
    count = 0
    for start in range(0, len(array), step):
        values = _arrow(array[start : start + step].ravel())
        summary.add(values, sample.choose(count, len(values)))
        if sample.is_full:
            summary.thin(sample.thin())
        count += len(values)
    sampled = sample.rows if sample.is_sampled else None
    found = summary.profile(count, sampled)
    shown = msgspec.structs.replace(found, type=f"{array.dtype}{list(array.shape[1:])}")
    return Description(profile={name: shown}, sampled_rows=sampled)


def _arrow(values: NDArray[Any]) -> pa.Array:
    """Turn a row of values into Arrow; NaN is a gap, as it is in a table of pandas."""
    import pyarrow as pa

    kind, width = values.dtype.kind, values.dtype.itemsize
    if kind == "f" and width > DOUBLE:
        values = values.astype("f8")
    elif kind in "mM":
        values = values.astype(_time_type(values.dtype))
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return pa.array(values, from_pandas=True)


def _time_type(given: np.dtype[Any]) -> np.dtype[Any]:
    """Find the nearest type of a date or duration that Arrow has: days and hours in seconds."""
    import numpy as np

    unit = np.datetime_data(given)[0]
    return np.dtype(f"{given.kind}8[{unit if unit in ARROW_UNITS else 's'}]")
