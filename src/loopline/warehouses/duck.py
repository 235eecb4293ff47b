"""DuckDB as the warehouse: a file in the home, or anywhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError, NotFoundError
from loopline.warehouses.base import CHUNK_SIZE, Answer, Warehouse, quoted
from loopline.warehouses.given import fitting, given_rows
from loopline.warehouses.holding import hold, turn_to_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = ["DuckDBWarehouse", "Engine", "need_duckdb"]

#: What batches that are written are called while they are.
_GIVEN = "_loopline_given"


def need_duckdb() -> Any:  # noqa: ANN401 - a module
    """Import duckdb.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("duckdb", extra="duckdb", purpose="A warehouse") from None
    return duckdb


class Engine(Warehouse):
    """What warehouses on DuckDB share: asking, and the words for what went wrong."""

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Any]:
        """Open a connection of DuckDB's for what a warehouse has no method for."""
        raise NotImplementedError

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Ask one statement that answers rows; see ``Warehouse.query``."""
        with self.connection() as connection:
            found = self._ask(connection, sql, params)
            with self._telling(sql):
                table = found.to_arrow_table()
        return Answer(table, source=f"{self.url}: {sql.strip()}")

    def stream(
        self, sql: str, params: Mapping[str, Any] | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> Iterator[pa.RecordBatch]:
        """Ask, and give the rows in batches; see ``Warehouse.stream``."""
        with self.connection() as connection:
            reader = self._ask(connection, sql, params).to_arrow_reader(chunk_size)
            with self._telling(sql):
                for batch in reader:
                    if batch.num_rows:
                        yield batch

    def arrow_schema(self, table: str) -> pa.Schema:
        """Tell columns and types of a table."""
        with self.connection() as connection:
            return self._schema(connection, table)

    def tables(self) -> list[str]:
        """Name tables and views; those outside the schema ``main`` with their schema's name."""
        sql = (
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database() ORDER BY ALL"
        )
        with self.connection() as connection:
            rows = connection.execute(sql).fetchall()
        return [name if schema == "main" else f"{schema}.{name}" for schema, name in rows]

    def _schema(self, connection: Any, table: str) -> pa.Schema:  # noqa: ANN401
        duckdb = need_duckdb()
        sql = f"SELECT * FROM {quoted(table)} LIMIT 0"  # noqa: S608 - quoted
        try:
            return connection.sql(sql).to_arrow_table().schema
        except duckdb.CatalogException:
            known = self.tables()
            hint = f"{self.url} has {', '.join(known) or 'no tables yet'}."
            raise NotFoundError.among("table", table, known, hint=hint) from None

    def _ask(self, connection: Any, sql: str, params: Mapping[str, Any] | None) -> Any:  # noqa: ANN401
        with self._telling(sql):
            # A relation, and no result of ``execute``: from DuckDB 2.0 on that would be copied.
            statements = connection.extract_statements(sql)
            if len(statements) == 1 and statements[0].type == need_duckdb().StatementType.SELECT:
                return connection.sql(sql, params=dict(params) if params else None)
        msg = f"No rows come from {sql.strip()[:100]!r}. Give one SELECT."
        raise InvalidInputError(msg)

    @contextmanager
    def _telling(self, sql: str) -> Iterator[None]:
        """Tell what DuckDB says of a statement as an error of ours."""
        duckdb = need_duckdb()
        try:
            yield
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
            msg = f"{self.url} cannot answer {sql.strip()[:200]!r}: {error}"
            raise InvalidInputError(msg) from None


class DuckDBWarehouse(Engine):
    """A DuckDB file: made when something is written, held only while it is used."""

    def __init__(self, path: Path, *, wait_s: float = 30.0) -> None:
        """Take the path of a file, which may not be there yet.

        Args:
            path: Of the file.
            wait_s: Seconds to wait while another process has it open.
        """
        need_duckdb()
        self.path = path.expanduser().resolve()
        self.url = f"duckdb://{self.path}"
        self._wait_s = wait_s

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Any]:
        """Hold the file open, and give a connection of DuckDB's."""
        with hold(self.path, write=write, wait_s=self._wait_s) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[DuckDBWarehouse]:
        """Hold the file open for reading; other processes may read meanwhile."""
        with self.connection():
            yield self

    @contextmanager
    def writing(self) -> Iterator[DuckDBWarehouse]:
        """Hold the file open for writing: no other process reads or writes meanwhile."""
        with self.connection(write=True):
            yield self

    def append(self, table: str, data: Any) -> int:  # noqa: ANN401
        """Add rows, all or none; see ``Warehouse.append``."""
        return self._write(table, data, check=True, anew=False)

    def replace(self, table: str, data: Any, *, check: bool = True) -> int:  # noqa: ANN401
        """Put rows in the place of all there are; see ``Warehouse.replace``."""
        return self._write(table, data, check=check, anew=True)

    def _write(self, table: str, data: Any, *, check: bool, anew: bool) -> int:  # noqa: ANN401
        given = given_rows(data)
        name = quoted(table)
        with self.transaction() as connection:
            try:
                known = self._schema(connection, table)
            except NotFoundError:
                known = None
            parts = fitting(given, known if check or not anew else None, table=table)
            if anew or known is None:
                if "." in table:
                    within = quoted(table.rpartition(".")[0])
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {within}")
                schema = given.schema if known is None or not check else known
                connection.register(_GIVEN, schema.empty_table())
                sql = f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {_GIVEN}"  # noqa: S608 - quoted
                connection.execute(sql)
                connection.unregister(_GIVEN)
            rows = 0
            for part in parts:
                connection.register(_GIVEN, part)
                with self._telling(f"INSERT INTO {name}"):
                    connection.execute(
                        f"INSERT INTO {name} BY NAME SELECT * FROM {_GIVEN}"  # noqa: S608 - quoted
                    )
                connection.unregister(_GIVEN)
                rows += part.num_rows
        return rows

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Open a connection inside a transaction; the writers of this process take turns."""
        with turn_to_write(self.path), self.connection(write=True) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
