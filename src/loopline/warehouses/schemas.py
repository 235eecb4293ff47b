"""Whether rows fit a table: which column broke, how, and in which row first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import TableSchemaError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fitted", "problems_of"]

#: Characters of a value that a message shows.
MOST_SHOWN = 40


def fitted(data: pa.Table, expected: pa.Schema, *, table: str, row_offset: int = 0) -> pa.Table:
    """Bring rows into the form of a table: its columns in its order, with its types.

    What loses nothing is done without a word: a narrower number into a wider one, whole numbers
    that came as floats (pandas makes them where there are gaps) into integers, a category into
    text. Everything else is refused, and all of it is told at once.

    Args:
        data: The rows.
        expected: Columns of the table.
        table: Its name, for the message.
        row_offset: Number of the first row, counted from 0.

    Raises:
        TableSchemaError: They do not fit.
    """
    import pyarrow as pa

    problems = problems_of(data, expected, row_offset=row_offset)
    if problems:
        raise TableSchemaError(table, problems)
    columns = [_cast(data.column(field.name), field.type) for field in expected]
    return pa.Table.from_arrays(columns, schema=expected)


def problems_of(data: pa.Table, expected: pa.Schema, *, row_offset: int = 0) -> list[str]:
    """Tell what keeps rows from fitting a table; nothing when they fit."""
    problems = []
    came = data.schema
    for field in expected:
        if field.name not in came.names:
            problems.append(f"column {field.name}: is missing (it was {field.type})")
            continue
        problem = _problem(data.column(field.name), field.type, row_offset)
        if problem:
            problems.append(f"column {field.name}: {problem}")
    problems += [
        f"column {field.name}: is new ({field.type}), the table does not have it"
        for field in came
        if field.name not in expected.names
    ]
    return problems


def _problem(values: pa.ChunkedArray, wanted: pa.DataType, row_offset: int) -> str:
    import pyarrow as pa

    came = values.type
    if _is_same_kind(came, wanted):
        try:
            _cast(values, wanted)
        except pa.ArrowException:
            pass
        else:
            return ""
    said = f"was {wanted}, came as {came}"
    bad = _first_bad(values, wanted)
    if bad is None:
        return f"{said}; convert it first"
    return f"{said}; first bad row {bad + row_offset:,}: {_shown(values[bad])}"


def _is_same_kind(came: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type may be those of the other, if they fit."""
    from pyarrow import types

    if types.is_dictionary(came):
        came = came.value_type
    if types.is_null(came) or came.equals(wanted):
        return True

    def numbers(kind: pa.DataType) -> bool:
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))

    def text(kind: pa.DataType) -> bool:
        return bool(
            types.is_string(kind) or types.is_large_string(kind) or "string_view" in str(kind)
        )

    def binary(kind: pa.DataType) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def moments(kind: pa.DataType) -> bool:
        return bool(types.is_timestamp(kind)) and (kind.tz is None) == (
            not types.is_timestamp(wanted) or wanted.tz is None
        )

    tests = (numbers, text, binary, moments, types.is_date, types.is_time, types.is_duration)
    return any(test(came) and test(wanted) for test in tests) or bool(types.is_nested(wanted))


def _cast(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    if values.type.equals(wanted):
        return values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(wanted, safe=True)


def _first_bad(values: pa.ChunkedArray, wanted: pa.DataType) -> int | None:
    """Find the first value that cannot be one of the type, by halves."""
    import pyarrow as pa

    def fits(stop: int) -> bool:
        try:
            _cast(values.slice(0, stop), wanted)
        except pa.ArrowException:
            return False
        return True

    if fits(len(values)):
        return None
    good, bad = 0, len(values)
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good


def _shown(value: Any) -> str:  # noqa: ANN401 - a scalar of Arrow's
    text = repr(value.as_py())
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
