"""Tables of any library as Arrow tables, which digests, profiles and snapshots are made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    import pyarrow as pa

__all__ = ["as_table", "column_of", "is_table", "need_pyarrow", "table_of_columns", "unique_names"]

#: What ``repr`` says of an object that has no text of its own: its place in memory.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def need_pyarrow(purpose: str) -> Any:  # noqa: ANN401 - a module without types
    """Import pyarrow.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("pyarrow", extra="data", purpose=purpose) from None
    return pa


def library_of(data: Any) -> str:  # noqa: ANN401 - any object
    """Name the package that a value's type comes from, such as ``"pandas"``."""
    return type(data).__module__.partition(".")[0]


def is_table(data: Any) -> bool:  # noqa: ANN401 - any object
    """Whether ``as_table`` takes it."""
    library = library_of(data)
    if library == "pandas":
        return hasattr(data, "iloc")
    if library == "polars":
        return type(data).__name__ in {"DataFrame", "LazyFrame", "Series"}
    return hasattr(data, "__arrow_c_stream__") or (
        # A table, a batch; or an array, chunked or not.
        library == "pyarrow" and (hasattr(data, "schema") or hasattr(data, "null_count"))
    )


def as_table(data: Any) -> pa.Table:  # noqa: ANN401 - any library's table
    """Turn a table of any library into an Arrow table, without copying where that can be.

    An index of pandas is part of the data when it has a name or holds other things than whole
    numbers: these become columns in front. The rest only numbers the rows and is left out.

    Raises:
        InvalidInputError: It can be read only once, or a column has no text or value of its own.
        MissingExtraError: pyarrow is not installed.
    """
    pa = need_pyarrow("Describing a table")
    match library_of(data):
        case "pandas":
            return _of_pandas(data)
        case "polars":
            frame = data.collect() if hasattr(data, "collect") else data
            frame = frame.to_frame() if hasattr(frame, "to_frame") else frame
            return frame.to_arrow()
        case "pyarrow":
            return _of_arrow(data)
    return pa.RecordBatchReader.from_stream(data).read_all()


def _of_arrow(data: Any) -> pa.Table:  # noqa: ANN401 - one of pyarrow's types
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        msg = (
            "A RecordBatchReader can be read only once, and the data are needed for training "
            "too. Read it first, `table = reader.read_all()`, and give the table."
        )
        raise InvalidInputError(msg)
    return pa.table({"values": data})


def _of_pandas(data: pd.DataFrame | pd.Series[Any]) -> pa.Table:
    given: Any = data
    frame = given if hasattr(given, "columns") else given.to_frame(given.name or "values")
    names, columns = [], []
    index = frame.index
    for level in range(index.nlevels):
        labels = index.get_level_values(level)
        if labels.name is not None or labels.dtype.kind not in "iu":
            names.append(str(labels.name if labels.name is not None else f"index_{level}"))
            columns.append(column_of(names[-1], labels.to_series()))
    for position, label in enumerate(frame.columns):
        names.append(str(label))
        columns.append(column_of(names[-1], frame.iloc[:, position]))
    return table_of_columns(names, columns)


def column_of(name: str, values: Any) -> pa.ChunkedArray:  # noqa: ANN401 - any sequence
    """Turn the values of one column into Arrow; values of several kinds become text.

    Raises:
        InvalidInputError: An object among them has no text but its place in memory.
    """
    import pyarrow as pa

    if hasattr(values, "sparse"):
        values = values.sparse.to_dense()
    try:
        made = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        made = pa.array([_text(name, value) for value in values], pa.large_string())
    return made if isinstance(made, pa.ChunkedArray) else pa.chunked_array([made])


def _text(name: str, value: Any) -> str | None:  # noqa: ANN401 - any object
    """Say a value so that ``1``, ``"1"`` and ``1.5`` stay apart, the same in every process."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # The text of a long array is an abridged one.
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT are missing values
        return None
    if isinstance(value, set | frozenset):
        said = f"{{{', '.join(sorted(map(repr, value)))}}}"  # Its order differs by process.
    else:
        said = repr(value)
    if _ADDRESS.search(said):
        msg = (
            f"Column {name!r} holds objects of {type(value).__name__}, which have no content that "
            "can be compared. Take the column out, or turn it into text or numbers."
        )
        raise InvalidInputError(msg)
    return said.encode("utf-8", "backslashreplace").decode()


def table_of_columns(names: Sequence[str], columns: Sequence[pa.ChunkedArray]) -> pa.Table:
    """Make a table; names that stand twice are told apart by a number."""
    import pyarrow as pa

    clean = (name.encode("utf-8", "backslashreplace").decode() for name in names)
    return pa.Table.from_arrays(list(columns), names=unique_names(clean))


def unique_names(names: Iterable[str]) -> list[str]:
    """Tell names apart: ``fare``, ``fare#2``."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name}#{number}"
        taken.add(unique)
        found.append(unique)
    return found
