"""Answers of SQL queries as tables: DuckDB, SQLAlchemy, and any driver that follows DB-API 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.data.tables import as_table, column_of, library_of, need_pyarrow, table_of_columns
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["query_source", "reader_of_query"]

#: Characters of a query that a data version's source shows.
MOST_SQL = 10_000


def reader_of_query(sql: str, connection: Any, params: Any) -> Callable[[], pa.Table]:  # noqa: ANN401
    """Make what asks the query and gives the answer as an Arrow table.

    Args:
        sql: One statement that answers rows.
        connection: A DuckDB connection, a SQLAlchemy engine or connection, or a connection of a
            DB-API driver such as ``sqlite3`` or ``psycopg``.
        params: Values for its placeholders, in the driver's own form; None for none.

    Raises:
        InvalidInputError: It is no connection; raised at once.
    """
    need_pyarrow("Describing a query")
    if library_of(connection) in {"duckdb", "_duckdb"}:
        return lambda: _ask_duckdb(sql, connection, params)
    if library_of(connection) == "sqlalchemy":
        return lambda: _ask_sqlalchemy(sql, connection, params)
    if hasattr(connection, "cursor"):
        return lambda: _ask_driver(sql, connection, params)
    msg = (
        f"A query needs a DuckDB, SQLAlchemy or DB-API connection, not "
        f"{type(connection).__name__}. Give one as connection=..."
    )
    raise InvalidInputError(msg)


def query_source(sql: str, connection: Any) -> str:  # noqa: ANN401
    """Say where an answer came from: the database, without its password, and the query."""
    where = library_of(connection).lstrip("_")
    if where == "sqlalchemy":
        engine = getattr(connection, "engine", connection)
        where = engine.url.render_as_string(hide_password=True)
    text = sql.strip()
    shown = text if len(text) <= MOST_SQL else f"{text[: MOST_SQL - 1]}…"
    return f"{where}: {shown}"


def _ask_duckdb(sql: str, connection: Any, params: Any) -> pa.Table:  # noqa: ANN401
    # On the connection itself: a cursor of it would not see its temporary tables.
    found = connection.sql(sql, params=params) if params else connection.sql(sql)
    if found is None:
        raise _no_rows(sql)
    return as_table(found)


def _ask_sqlalchemy(sql: str, connection: Any, params: Any) -> pa.Table:  # noqa: ANN401
    from sqlalchemy import text

    if hasattr(connection, "connect"):
        with connection.connect() as opened:
            return _ask_sqlalchemy(sql, opened, params)
    found = connection.execute(text(sql), params or {})
    if not found.returns_rows:
        raise _no_rows(sql)
    return _table(list(found.keys()), found.fetchall())


def _ask_driver(sql: str, connection: Any, params: Any) -> pa.Table:  # noqa: ANN401
    cursor = connection.cursor()
    try:
        cursor.execute(sql, params) if params else cursor.execute(sql)
        if cursor.description is None:
            raise _no_rows(sql)
        return _table([column[0] for column in cursor.description], cursor.fetchall())
    finally:
        cursor.close()


def _no_rows(sql: str) -> InvalidInputError:
    return InvalidInputError(f"No rows come from {sql.strip()[:100]!r}. Give a SELECT.")


def _table(names: list[str], rows: list[Any]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return table_of_columns(
        names, [column_of(name, list(values)) for name, values in zip(names, columns, strict=True)]
    )
