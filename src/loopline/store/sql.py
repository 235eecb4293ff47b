"""SQL on a store, to read: MLflow's tables as views, and ``metrics`` with every point.

Whoever may open a store may read all of it; a server does not offer this.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import exc as sa_exc
from sqlalchemy import select

from loopline.errors import InvalidInputError
from loopline.rules.blocks import unpack
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["SqlAnswer", "run_sql"]

#: Unfolding more points than this into a table would fill the memory before it answers.
MOST_POINTS = 20_000_000
#: Points put into the table with one statement.
TOGETHER = 50_000
_METRICS = re.compile(r"(?<![\w.])metrics\b", re.IGNORECASE)
_TABLE = (
    "CREATE TEMPORARY TABLE metrics (key TEXT, value DOUBLE PRECISION, timestamp BIGINT,"
    " step BIGINT, is_nan BOOLEAN, run_uuid TEXT)"
)
_READS = re.compile(r"\s*(select|with|values|explain)\b", re.IGNORECASE)


class SqlAnswer(NamedTuple):
    """What a statement answered: names of columns, and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def run_sql(store: Store, statement: str, parameters: Sequence[Any] = ()) -> SqlAnswer:
    """Run one statement that reads.

    Args:
        store: Where.
        statement: SQL in the words of the store's database; ``metrics`` is every point there is.
        parameters: Values for its ``?`` (SQLite) or ``%s`` (PostgreSQL).

    Raises:
        InvalidInputError: It is no statement that reads, or the database does not understand it.
    """
    if not _READS.match(statement):
        msg = "Only statements that read are run: begin with SELECT or WITH."
        raise InvalidInputError(msg)
    with _reading(store) as connection:
        if _METRICS.search(statement):
            _unfold_metrics(connection)
        store.only_read(connection)
        if not store.is_sqlite and not parameters:
            statement = statement.replace("%", "%%")  # Where nothing is filled in, a % is one.
        try:
            answer = connection.exec_driver_sql(statement, tuple(parameters))
            rows = [tuple(row) for row in answer]
        except (sa_exc.DBAPIError, sa_exc.ResourceClosedError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            msg = (
                f"The statement cannot be run: {reason}. The tables are those of MLflow "
                "(experiments, runs, params, metrics, latest_metrics, tags, model_versions, …)."
            )
            raise InvalidInputError(msg) from error
        return SqlAnswer(list(answer.keys()), rows)


@contextmanager
def _reading(store: Store) -> Iterator[Connection]:
    """Open a connection of its own that can change nothing but temporary tables."""
    store.settle_to_read()
    engine = store.make_reader()
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _unfold_metrics(connection: Connection) -> None:
    """Put every point into a temporary table named as MLflow's."""
    block, run = schema.metric_block, schema.run
    total = connection.exec_driver_sql("SELECT sum(points) FROM ll_metric").scalar() or 0
    if total > MOST_POINTS:
        msg = (
            f"The store has {total:,} points, too many for the table metrics ({MOST_POINTS:,} at "
            "most). Ask latest_metrics, or read the histories you need with get_metric_history."
        )
        raise InvalidInputError(msg)
    connection.exec_driver_sql(_TABLE)
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    insert = f"INSERT INTO metrics VALUES ({', '.join([mark] * 6)})"  # noqa: S608 - marks alone
    query = select(run.c.run_id, block.c.key, block.c.data).join(run, run.c.pk == block.c.run_pk)
    rows: list[tuple[Any, ...]] = []
    for run_id, key, data in connection.execute(query.order_by(block.c.id)).all():
        for step, timestamp_ms, value in unpack(data).rows():
            is_nan = math.isnan(value)
            rows.append((key, 0.0 if is_nan else value, timestamp_ms, step, is_nan, run_id))
        if len(rows) >= TOGETHER:
            connection.exec_driver_sql(insert, rows)
            rows = []
    if rows:
        connection.exec_driver_sql(insert, rows)
