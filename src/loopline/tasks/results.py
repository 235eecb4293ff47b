"""Answers of queries in the form that a flow wants: rows, pandas, Arrow, or Parquet.

``ParquetTable`` is a table that stays compressed: as a task's result it is kept in the blob store
like any other, and read again only by the task that wants it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.base import Record

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

__all__ = ["FETCHES", "OF_ROWS", "ParquetTable", "check_fetch", "of_arrow", "of_rows"]

#: What a query may return.
FETCHES = ("rows", "one", "value", "pandas", "arrow", "parquet", "none")
#: Those that need no pyarrow.
OF_ROWS = frozenset({"rows", "one", "value"})


class ParquetTable(Record, frozen=True, kw_only=True):
    """A table as the bytes of a Parquet file.

    Attributes:
        data: The file.
        rows: How many rows it has.
        columns: Their names.
    """

    data: bytes
    rows: int
    columns: list[str]

    def arrow(self) -> pa.Table:
        """Read it as an Arrow table."""
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(self.data))

    def pandas(self) -> pd.DataFrame:
        """Read it as a data frame."""
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self.data))

    def write(self, path: Path | str) -> None:
        """Write the file."""
        from pathlib import Path

        Path(path).write_bytes(self.data)


def check_fetch(fetch: str) -> str:
    """Refuse a form that does not exist."""
    if fetch not in FETCHES:
        msg = f"fetch={fetch!r} is unknown. Use one of {', '.join(FETCHES)}."
        raise InvalidInputError(msg)
    return fetch


def of_rows(fetch: str, names: list[str], rows: list[Any]) -> Any:  # noqa: ANN401 - as fetch says
    """Give rows, the first row, or its first value; None when there is no row."""
    if fetch == "rows":
        return [dict(zip(names, row, strict=True)) for row in rows]
    if not rows:
        return None
    return rows[0][0] if fetch == "value" else dict(zip(names, rows[0], strict=True))


def of_arrow(fetch: str, table: pa.Table) -> Any:  # noqa: ANN401 - as fetch says
    """Give a table in the form that was asked for."""
    if fetch == "arrow":
        return table
    if fetch == "pandas":
        return table.to_pandas()
    if fetch == "parquet":
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        return ParquetTable(
            data=file.getvalue(), rows=table.num_rows, columns=list(table.column_names)
        )
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return of_rows(fetch, list(table.column_names), rows)
