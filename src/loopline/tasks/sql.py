"""SQL as tasks: DuckDB inside the process, and any database that SQLAlchemy knows."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.data.queries import reader_of_query
from loopline.errors import InvalidInputError, MissingExtraError
from loopline.flows.task import Task
from loopline.settings import expanded
from loopline.tasks.given import needed
from loopline.tasks.results import OF_ROWS, ParquetTable, check_fetch, of_arrow, of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DuckDBQuery", "SQLQuery"]


class DuckDBQuery(Task):
    """Ask DuckDB, which reads Parquet, CSV and JSON files, and tables that other tasks returned.

    Args:
        query: A statement, or several that run one after another; the last one answers.
        database: The database's file; a new one in memory by default.
        fetch: ``"rows"`` (a list of dicts), ``"one"`` (the first row, or None), ``"value"`` (its
            first column), ``"pandas"``, ``"arrow"``, ``"parquet"`` (a ``ParquetTable``) or
            ``"none"``.
        read_only: Open the database's file for reading only, which several processes may.
        settings: DuckDB's own, such as ``{"threads": 2}``.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        query: str | Sequence[str] | None = None,
        database: str = ":memory:",
        *,
        fetch: str = "rows",
        read_only: bool = False,
        settings: Mapping[str, str | int] | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.query = query
        self.database = database
        self.fetch = check_fetch(fetch)
        self.read_only = read_only
        self.settings = dict(settings or {})
        super().__init__(**options)

    def run(
        self,
        query: str | Sequence[str] | None = None,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        tables: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - as ``fetch`` says
        """Ask.

        Args:
            query: As in the constructor.
            params: Values of the last statement's placeholders: ``?`` or ``$name``.
            tables: Data frames, Arrow tables or ``ParquetTable``s, each by the name that the
                query knows it under.

        Raises:
            MissingExtraError: DuckDB is not installed.
        """
        duckdb: Any = _module("duckdb", extra="duckdb", purpose="DuckDBQuery")
        statements = _statements(needed(self, "query", query, self.query))
        where = expanded(self.database)
        # Closed whatever happens: an open database locks its file.
        with closing(
            duckdb.connect(where, read_only=self.read_only, config=self.settings)
        ) as connection:
            for name, table in (tables or {}).items():
                data = table.arrow() if isinstance(table, ParquetTable) else table
                connection.register(name, data)
            for statement in statements[:-1]:
                connection.execute(statement)
            if self.fetch in OF_ROWS or self.fetch == "none":
                cursor = connection.execute(statements[-1], params)
                if self.fetch == "none":
                    return None
                names = [column[0] for column in cursor.description or ()]
                return of_rows(self.fetch, names, cursor.fetchall())
            return of_arrow(self.fetch, reader_of_query(statements[-1], connection, params)())


class SQLQuery(Task):
    """Ask a database by its SQLAlchemy URL, such as PostgreSQL or SQLite.

    All statements of one run are one transaction: all of it happened, or nothing.

    Args:
        query: A statement, or several that run one after another; the last one answers.
        url: Such as ``"postgresql+psycopg://etl:${DB_PASSWORD}@host/trips"``; ``${NAME}`` stands
            for an environment variable where the task runs.
        fetch: As in ``DuckDBQuery``.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        query: str | Sequence[str] | None = None,
        url: str | None = None,
        *,
        fetch: str = "rows",
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.query = query
        self.url = url
        self.fetch = check_fetch(fetch)
        super().__init__(**options)

    def run(
        self,
        query: str | Sequence[str] | None = None,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        url: str | None = None,
    ) -> Any:  # noqa: ANN401 - as ``fetch`` says
        """Ask.

        Args:
            query: As in the constructor.
            params: Values of the last statement's placeholders, ``:name``; a list of them carries
                it out once for each, with ``fetch="none"``.
            url: As in the constructor.
        """
        from sqlalchemy import create_engine, text
        from sqlalchemy.pool import NullPool

        statements = _statements(needed(self, "query", query, self.query))
        engine = create_engine(
            expanded(needed(self, "url", url, self.url)), poolclass=NullPool, hide_parameters=True
        )
        with engine.begin() as connection:
            for statement in statements[:-1]:
                connection.execute(text(statement))
            last = statements[-1]
            if self.fetch in OF_ROWS or self.fetch == "none":
                found = connection.execute(text(last), params or {})
                if self.fetch == "none":
                    return None
                if not found.returns_rows:
                    msg = (
                        f'No rows come from {last.strip()[:100]!r}. Give a SELECT, or fetch="none".'
                    )
                    raise InvalidInputError(msg)
                return of_rows(self.fetch, list(found.keys()), [tuple(row) for row in found])
            return of_arrow(self.fetch, reader_of_query(last, connection, params)())


def _statements(query: str | Sequence[str]) -> list[str]:
    statements = [query] if isinstance(query, str) else list(query)
    if not statements:
        msg = "There is no statement. Give a query."
        raise InvalidInputError(msg)
    return statements


def _module(name: str, *, extra: str, purpose: str) -> Any:  # noqa: ANN401 - a module
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name, extra=extra, purpose=purpose) from None
