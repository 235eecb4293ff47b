"""What every warehouse can do, whichever engine is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from loopline.data.versions import HeldDataset

__all__ = ["CHUNK_SIZE", "Answer", "Warehouse", "quoted", "select"]

CHUNK_SIZE = 100_000


class Answer:
    """The rows that a query answered; anything that speaks Arrow takes it as a table.

    Attributes:
        table: The rows as an Arrow table.
    """

    def __init__(self, table: pa.Table, *, source: str) -> None:
        self.table = table
        self._source = source

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pd.DataFrame:
        """Give the rows as a data frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows as dictionaries."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def dataset(self, *, name: str = "") -> HeldDataset:
        """Describe the rows as a data version, whose source is the warehouse and the query."""
        from loopline.data.versions import dataset

        return dataset(self.table, name=name, source=self._source)


class Warehouse(ABC):
    """Tables behind SQL that is written once, in DuckDB's dialect.

    Attributes:
        url: Where it is, without passwords.
    """

    url: str

    @abstractmethod
    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Ask one statement that answers rows.

        Args:
            sql: In DuckDB's dialect; ``$name`` stands for a value.
            params: The values by name.

        Raises:
            InvalidInputError: The engine refuses the statement; its words are in the message.
        """

    @abstractmethod
    def stream(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        chunk_size: int = CHUNK_SIZE,
    ) -> Iterator[pa.RecordBatch]:
        """Ask as ``query`` does, and give the rows in batches of at most ``chunk_size``."""

    def read(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        where: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        index: str | Sequence[str] = (),
        chunk_size: int = CHUNK_SIZE,
    ) -> Iterator[pa.RecordBatch]:
        """Read a table in batches, in order, with memory that does not grow with the table.

        Args:
            table: Its name, with a dot after its schema.
            columns: Which; all when not given.
            where: A condition in SQL, with ``$name`` for values.
            params: The values.
            index: The columns to order by, such as ``"pickup_datetime"``; rows without one come
                first. Without it, rows come as the engine has them.
            chunk_size: Rows a batch has at most.
        """
        order = (index,) if isinstance(index, str) and index else index
        known = self.schema(table)
        for name in (*(columns or ()), *order):
            if name not in known:
                from loopline.errors import NotFoundError

                hint = f"{table} has {', '.join(known)}."
                raise NotFoundError.among("column", name, known, hint=hint)
        return self.stream(
            select(table, columns, where, order), params, chunk_size=_checked(chunk_size)
        )

    @abstractmethod
    def append(self, table: str, data: Any) -> int:  # noqa: ANN401 - anything with columns
        """Add rows, all or none; the table is made when it is not there. Answers how many.

        Args:
            table: Its name.
            data: Anything that ``loopline.dataset`` takes as a table, or a reader of batches.

        Raises:
            TableSchemaError: A column is missing, is new, or holds what the table's does not.
        """

    @abstractmethod
    def replace(self, table: str, data: Any, *, check: bool = True) -> int:  # noqa: ANN401
        """Put rows in the place of all there are, at once for whoever reads. Answers how many.

        Args:
            table: Its name.
            data: As for ``append``.
            check: The columns must be those that the table has; without it they may change.

        Raises:
            TableSchemaError: As for ``append``.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """Name the tables and views there are."""

    @abstractmethod
    def arrow_schema(self, table: str) -> pa.Schema:
        """Tell columns and types of a table.

        Raises:
            NotFoundError: There is no such table.
        """

    def schema(self, table: str) -> dict[str, str]:
        """Tell the type of each column of a table, in Arrow's words."""
        found = self.arrow_schema(table)
        return {field.name: str(field.type) for field in found}

    @contextmanager
    def reading(self) -> Iterator[Warehouse]:
        """Keep the warehouse open, for several questions that follow each other."""
        yield self

    @contextmanager
    def writing(self) -> Iterator[Warehouse]:
        """Keep the warehouse open for writing: to append to it while reading from it."""
        yield self

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what is held open."""

    def __repr__(self) -> str:
        return f"loopline.warehouse({self.url!r})"


def quoted(name: str) -> str:
    """Quote a name for SQL; a dot stands between a schema and its table."""
    if not name or "\0" in name:
        msg = f"{name!r} is no name of a table or column."
        raise InvalidInputError(msg)
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in name.split("."))


def column(name: str) -> str:
    """Quote the name of a column, which may have dots in it."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"'


def select(table: str, columns: Sequence[str] | None, where: str, order: Sequence[str]) -> str:
    """Write the statement that reads a part of a table."""
    what = ", ".join(map(column, columns)) if columns else "*"
    condition = f" WHERE {where}" if where else ""
    by = ", ".join(f"{column(name)} ASC NULLS FIRST" for name in order)
    return f"SELECT {what} FROM {quoted(table)}{condition}" + (f" ORDER BY {by}" if by else "")  # noqa: S608


def _checked(chunk_size: int) -> int:
    if chunk_size < 1:
        msg = f"A chunk has at least one row, not {chunk_size}."
        raise InvalidInputError(msg)
    return chunk_size
