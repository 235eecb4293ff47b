"""Searching runs: a filter, an order, and pages that hold together while the store is written.

A page's token holds the place of its last run in the order, so that a deep page costs what the
first does and shifts under no write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from loopline.errors import InvalidInputError
from loopline.records.identity import Thing
from loopline.records.tracking import RunPage
from loopline.rules.filters import OrderBy, parse, parse_order_by
from loopline.store import schema
from loopline.store.callers import visible_in
from loopline.store.documents import RUNS, TABLE_RUNS, RunTableBuilder, records_of
from loopline.store.experiments import parse_id
from loopline.store.lifecycle import parse_lifecycle
from loopline.store.page_tokens import decode_place, encode_place, key_of, stamp_of
from loopline.store.run_uses import uses_of
from loopline.store.search_plan import Hit, Question, count, find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row, Select

    from loopline.records import operations as ops
    from loopline.records.tracking import Run, RunTable, RunUses
    from loopline.store.database import Store

__all__ = ["count_runs", "search_run_table", "search_runs"]

MAX_RESULTS = 50_000
MAX_ORDER_BY = 10
MAX_EXPERIMENTS = 10_000
#: Runs read with one statement. No more, for the collector of garbage looks through all rows that
#: are in memory: with ten thousand it took a third of the search.
TOGETHER = 500

#: Runs by their numbers, as records or columns want them. Look-ups by primary key.
_AMONG = schema.run.c.pk.in_(bindparam("pks", expanding=True))
OF_PAGE = RUNS.where(_AMONG)
OF_TABLE = TABLE_RUNS.where(_AMONG)


def search_runs(store: Store, connection: Connection, call: ops.SearchRuns) -> RunPage:
    """Search runs by a filter, in order, a page at a time."""
    hits, token = _search(store, connection, call)
    runs: list[Run] = []
    uses: list[RunUses] = []
    for rows in _rows(connection, OF_PAGE, hits):
        runs += records_of(connection, rows, store.memo)
        if call.with_uses:
            uses += uses_of(connection, {row.pk: row.run_id for row in rows})
    return RunPage(runs=runs, next_page_token=token, uses=uses)


def search_run_table(store: Store, connection: Connection, call: ops.SearchRunTable) -> RunTable:
    """Search runs as ``search_runs`` does, and answer columns."""
    hits, token = _search(store, connection, call)
    builder = RunTableBuilder()
    for rows in _rows(connection, OF_TABLE, hits):
        builder.add(rows)
    return builder.table(call.columns, token)


def count_runs(_store: Store, connection: Connection, call: ops.CountRuns) -> int:
    """Count the runs that a search would find."""
    node = parse(call.filter)
    experiments = _experiments(connection, call)
    if experiments is not None and not experiments:
        return 0
    return count(
        connection,
        Question(
            experiments=experiments,
            lifecycle=parse_lifecycle(call.lifecycle),
            node=node,
            order=[],
            after=None,
            most=0,
        ),
    )


def _search(
    store: Store, connection: Connection, call: ops.SearchRuns | ops.SearchRunTable
) -> tuple[list[Hit], str]:
    """Find the runs of a page, and where the next one begins."""
    if not 0 < call.max_results <= MAX_RESULTS:
        msg = (
            f"Invalid value {call.max_results} for parameter 'max_results' supplied: it must lie "
            f"between 1 and {MAX_RESULTS:,}. Ask for more by pages."
        )
        raise InvalidInputError(msg)
    order = _orders(call.order_by)
    node = parse(call.filter)
    stamp = stamp_of(call.filter, call.order_by, call.lifecycle)
    after = None
    if call.page_token:
        key = key_of(store, connection)
        after = decode_place(key, call.page_token, stamp, 2 * len(order) + 2)
    experiments = _experiments(connection, call)
    if experiments is not None and not experiments:
        return [], ""
    question = Question(
        experiments=experiments,
        lifecycle=parse_lifecycle(call.lifecycle),
        node=node,
        order=order,
        after=after,
        most=call.max_results + 1,
    )
    hits = find(connection, question)
    shown = hits[: call.max_results]
    if len(hits) == len(shown):
        return shown, ""
    return shown, encode_place(key_of(store, connection), stamp, shown[-1].place)


def _rows(connection: Connection, query: Select[Any], hits: list[Hit]) -> Iterator[list[Row[Any]]]:
    """Read the runs that were found, in their order, some at a time."""
    for start in range(0, len(hits), TOGETHER):
        pks = [hit.pk for hit in hits[start : start + TOGETHER]]
        # `all`: one fetch.
        rows = {row.pk: row for row in connection.execute(query, {"pks": pks}).all()}
        yield [rows[pk] for pk in pks]


def _experiments(
    connection: Connection, call: ops.SearchRuns | ops.SearchRunTable | ops.CountRuns
) -> list[int] | None:
    """Find the numbers of the experiments to look in; None when all are meant."""
    seen = visible_in(connection, Thing.EXPERIMENT)
    if not call.experiment_ids and not call.experiment_names:
        return None if seen is None else sorted(seen)
    if len(call.experiment_ids) + len(call.experiment_names) > MAX_EXPERIMENTS:
        msg = f"At most {MAX_EXPERIMENTS:,} experiments can be named; name none to search all."
        raise InvalidInputError(msg)
    numbers = {parse_id(text) for text in call.experiment_ids} - {-1}
    if call.experiment_names:
        table = schema.experiment
        query = select(table.c.id).where(table.c.name.in_(call.experiment_names))
        numbers |= set(connection.execute(query).scalars())
    return sorted(numbers if seen is None else numbers & seen)


def _orders(texts: list[str]) -> list[OrderBy]:
    if len(texts) > MAX_ORDER_BY:
        msg = f"At most {MAX_ORDER_BY} keys can be ordered by; {len(texts)} were given."
        raise InvalidInputError(msg)
    orders = [parse_order_by(text) for text in texts]
    if len({order.field for order in orders}) < len(orders):
        msg = f"The same key stands twice in order_by: {', '.join(texts)}. Take one out."
        raise InvalidInputError(msg)
    return orders
