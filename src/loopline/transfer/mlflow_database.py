"""Reading an MLflow database, of whatever version: which tables and columns there are."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, create_engine, event, func, inspect, literal, select, table
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import make_url

from loopline.errors import BackendUnavailableError, InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Engine, Select, TableClause

__all__ = ["MlflowDatabase"]

#: Tables that every MLflow database has, since 1.0.
ALWAYS = {"alembic_version", "experiments", "runs", "metrics", "params", "tags"}
#: Rows fetched from the driver at a time.
TOGETHER = 50_000


class MlflowDatabase:
    """An MLflow database, opened so that it cannot be written to.

    Attributes:
        url: Its address.
        version: Of its schema: the name of MLflow's newest migration.
    """

    def __init__(self, url: str) -> None:
        """Open it.

        Raises:
            InvalidInputError: It is no database of MLflow's.
            BackendUnavailableError: It cannot be read.
            MissingExtraError: The driver for it is not installed.
        """
        self.url = make_url(url)
        self._engine = _open(self.url)
        with self._translated():
            inspector = inspect(self._engine)
            names = set(inspector.get_table_names())
            if not names >= ALWAYS:
                lacks = ", ".join(sorted(ALWAYS - names))
                msg = (
                    f"{self.where} is no MLflow database: it has no table {lacks}. Give the "
                    "database that `mlflow server --backend-store-uri` names."
                )
                raise InvalidInputError(msg)
            self._names = names
            self._inspector = inspector
            versions = self.rows(select(self.table("alembic_version").c.version_num))
            self.version = next((str(row[0]) for row in versions), "")

    @property
    def where(self) -> str:
        """Its address as one may show it."""
        if self.url.get_backend_name() == "sqlite":
            return str(self.url.database)
        return self.url.render_as_string(hide_password=True)

    @property
    def folder(self) -> Path | None:
        """The folder that an SQLite file lies in; relative artifact paths often start there."""
        if self.url.get_backend_name() != "sqlite":
            return None
        return Path(str(self.url.database)).resolve().parent

    @cached_property
    def tables(self) -> frozenset[str]:
        """Names of all tables."""
        return frozenset(self._names)

    def table(self, name: str) -> TableClause:
        """Get a table with the columns that it has in this version."""
        columns = self._inspector.get_columns(name)
        return table(name, *(column(about["name"]) for about in columns))

    def rows(self, query: Select[Any]) -> Iterator[Any]:
        """Read rows, a part at a time, in a transaction of their own."""
        with (
            self._translated(),
            self._engine.connect().execution_options(stream_results=True) as connection,
        ):
            result = connection.execute(query)
            while some := result.fetchmany(TOGETHER):
                yield from some

    def all_of(self, name: str, *, where: ColumnElement[bool] | None = None) -> list[Any]:
        """Read a whole table that is small; one that this version lacks is empty."""
        if name not in self._names:
            return []
        query = select(self.table(name))
        return list(self.rows(query if where is None else query.where(where)))

    def of_runs(self, name: str, key: str, run_ids: Sequence[str]) -> Iterator[Any]:
        """Read the rows of a table that belong to some runs."""
        if name in self._names:
            of = self.table(name)
            yield from self.rows(select(of).where(of.c[key].in_(run_ids)))

    def count(self, name: str) -> int:
        """Count the rows of a table; one that this version lacks has none."""
        if name not in self._names:
            return 0
        return int(next(self.rows(select(func.count()).select_from(self.table(name))))[0])

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    def _translated(self) -> _Translated:
        return _Translated(self.where)


def optional(of: TableClause, name: str, missing: object = None) -> ColumnElement[Any]:
    """Get a column, or a fixed value in versions that lack it."""
    if name in of.c:
        return of.c[name]
    return literal(missing).label(name)


def _open(url: Any) -> Engine:  # noqa: ANN401 - sqlalchemy's URL
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database or ""))
        if not path.is_file():
            msg = f"There is no file {path}. Give the path of MLflow's database, or its folder."
            raise InvalidInputError(msg)
        uri = f"{path.resolve().as_uri()}?mode=ro"
        engine = create_engine(f"sqlite:///{uri.replace('file://', 'file:')}&uri=true")
        event.listen(engine, "connect", _never_write)
        return engine
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername=f"postgresql+{_postgresql_driver(url.drivername)}")
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            str(error.name), extra="postgres", purpose=f"Reading {url.get_backend_name()}"
        ) from error
    if url.get_backend_name() == "postgresql":
        return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    return engine


def _postgresql_driver(address: str) -> str:
    """Take the driver that an address of MLflow's names where it is here, or another one."""
    _, _, named = address.partition("+")
    for name in (named, "psycopg", "psycopg2", "pg8000"):
        if name and find_spec(name) is not None:
            return name
    raise MissingExtraError("psycopg", extra="postgres", purpose="Reading PostgreSQL")


def _never_write(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's
    connection.execute("PRAGMA query_only = ON")


class _Translated:
    """Turns a driver's errors into ours."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sa_exc.DBAPIError):
            said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else ""
            msg = (
                f"{self._where} cannot be read ({type(error.orig).__name__}: {said}). When MLflow "
                "was killed while it wrote, open the database once with MLflow and try again; "
                "else check that it is reachable and that you may read it."
            )
            raise BackendUnavailableError(msg) from error
