"""Rows as people give them, as a schema and batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.data.tables import as_table, column_of, is_table, need_pyarrow, table_of_columns
from loopline.errors import InvalidInputError
from loopline.warehouses.schemas import fitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["Given", "fitting", "given_rows"]


class Given(NamedTuple):
    """Rows to be written: they may be longer than the memory."""

    schema: pa.Schema
    tables: Iterator[pa.Table]


def given_rows(data: Any) -> Given:  # noqa: ANN401 - told apart here
    """Take rows of any library, or a reader of Arrow batches, which is read once.

    Raises:
        InvalidInputError: These are no rows with columns.
    """
    pa = need_pyarrow("Writing to a warehouse")
    if isinstance(data, pa.RecordBatchReader):
        batches = (pa.Table.from_batches([batch]) for batch in data)
        return Given(data.schema, batches)
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        data = pa.Table.from_pylist([dict(row) for row in data])
    if isinstance(data, Mapping) and data:
        columns = [column_of(str(name), values) for name, values in data.items()]
        data = table_of_columns([str(name) for name in data], columns)
    if not is_table(data):
        msg = (
            f"Rows are a table of pandas, Polars, Arrow or DuckDB, a mapping of columns, or a list "
            f"of mappings, not {type(data).__name__}."
        )
        raise InvalidInputError(msg)
    table = as_table(data)
    return Given(table.schema, iter([table]))


def fitting(given: Given, expected: pa.Schema | None, *, table: str) -> Iterator[pa.Table]:
    """Check each part against a table's columns before it is written; None: it is a new table."""
    row = 0
    for part in given.tables:
        yield part if expected is None else fitted(part, expected, table=table, row_offset=row)
        row += part.num_rows
