"""Searching runs: the filter's tree as one statement with bound values, paged by key.

Each condition on a param, tag or metric is a sub-query on the clustered fact tables, which one
index answers; a page's token holds the sort values of its last run, so that a deep page costs
what the first does and shifts under no write.
"""

from __future__ import annotations

import base64
import binascii
import operator
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from loopline.errors import InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunPage
from loopline.rules.filters import (
    And,
    Comparison,
    Field,
    Node,
    Not,
    Or,
    OrderBy,
    parse,
    parse_order_by,
)
from loopline.store import schema
from loopline.store.documents import RUNS, records_of
from loopline.store.experiments import parse_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["search_runs"]

MAX_RESULTS = 50_000
MAX_ORDER_BY = 10
MAX_EXPERIMENTS = 10_000

_run = schema.run
_ATTRIBUTES: dict[str, ColumnElement[Any]] = {
    "run_id": _run.c.run_id,
    "run_name": _run.c.name,
    "status": _run.c.status,
    "user_id": _run.c.user,
    # Never NULL, or neither a condition nor its NOT would hold.
    "parent_run_id": func.coalesce(_run.c.parent_run_id, ""),
    "flow_run_id": func.coalesce(_run.c.flow_run_id, ""),
    "task": func.coalesce(_run.c.task_slug, ""),
    "start_time": _run.c.start_ms,
    "end_time": _run.c.end_ms,
    "duration": _run.c.duration_ms,
}
_TEXT_FACTS = {"param": schema.param, "tag": schema.tag}

_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "LIKE": lambda column, value: column.like(_literal(value), escape="\\"),
    "IN": lambda column, values: column.in_(values),
    "NOT IN": lambda column, values: column.not_in(values),
}


def search_runs(_store: Store, connection: Connection, call: ops.SearchRuns) -> RunPage:
    """Search runs by a filter, in order, a page at a time."""
    if not 0 < call.max_results <= MAX_RESULTS:
        msg = (
            f"Invalid value {call.max_results} for parameter 'max_results' supplied: it must lie "
            f"between 1 and {MAX_RESULTS:,}. Ask for more by pages."
        )
        raise InvalidInputError(msg)
    experiments = _experiments(connection, call)
    if experiments is not None and not experiments:
        return RunPage(runs=[])
    query = RUNS
    if experiments is not None:
        query = query.where(_run.c.experiment_id.in_(experiments))
    if not call.include_deleted:
        query = query.where(_run.c.lifecycle == Lifecycle.ACTIVE)
    node = parse(call.filter)
    if node is not None:
        query = query.where(_condition(node))
    keys = _sort_keys(call.order_by)
    for key in keys:
        query = query.add_columns(key.column.label(key.label))
    if call.page_token:
        query = query.where(_after(keys, call.page_token))
    query = query.order_by(
        *(key.column.desc() if key.descending else key.column.asc() for key in keys)
    )
    rows = connection.execute(query.limit(call.max_results + 1)).all()
    shown = rows[: call.max_results]
    token = ""
    if len(rows) > len(shown):
        last = shown[-1]._mapping  # noqa: SLF001 - its public name for a row's columns
        token = _encode([last[key.label] for key in keys])
    return RunPage(runs=records_of(connection, shown), next_page_token=token)


def _experiments(connection: Connection, call: ops.SearchRuns) -> list[int] | None:
    """Find the numbers of the experiments asked for; None when all are meant."""
    if not call.experiment_ids and not call.experiment_names:
        return None
    if len(call.experiment_ids) + len(call.experiment_names) > MAX_EXPERIMENTS:
        msg = f"At most {MAX_EXPERIMENTS:,} experiments can be named; name none to search all."
        raise InvalidInputError(msg)
    numbers = [parse_id(text) for text in call.experiment_ids]
    if call.experiment_names:
        numbers += connection.execute(
            select(schema.experiment.c.id).where(
                schema.experiment.c.name.in_(call.experiment_names)
            )
        ).scalars()
    return numbers


class _SortKey:
    """One column of the order; no value of it is ever NULL, so that pages can be cut at it."""

    def __init__(self, label: str, column: ColumnElement[Any], *, descending: bool) -> None:
        self.label = label
        self.column = column
        self.descending = descending


def _sort_keys(order_by: list[str]) -> list[_SortKey]:
    if len(order_by) > MAX_ORDER_BY:
        msg = f"At most {MAX_ORDER_BY} keys can be ordered by; {len(order_by)} were given."
        raise InvalidInputError(msg)
    orders = [parse_order_by(text) for text in order_by]
    if len({order.field for order in orders}) < len(orders):
        msg = f"The same key stands twice in order_by: {', '.join(order_by)}. Take one out."
        raise InvalidInputError(msg)
    keys: list[_SortKey] = []
    for index, order in enumerate(orders):
        keys += _keys_of(order, index)
    keys.append(_SortKey("sort_start", _run.c.start_ms, descending=True))
    keys.append(_SortKey("sort_id", _run.c.run_id, descending=False))
    return keys


def _keys_of(order: OrderBy, index: int) -> list[_SortKey]:
    """Order by a field: runs without a value last, NaN before them, whichever direction."""
    column = _value(order.field)
    missing: ColumnElement[int] = case((column.is_(None), 1), else_=0)
    if order.field.entity == "metric" and order.field.summary == "last":
        is_nan = _metric_column(order.field, schema.metric.c.is_nan)
        missing = case((column.is_not(None), 0), (is_nan.is_(True), 1), else_=2)
    empty: Any = 0.0 if order.field.is_number else ""
    return [
        _SortKey(f"sort_{index}_missing", missing, descending=False),
        _SortKey(
            f"sort_{index}", func.coalesce(column, literal(empty)), descending=order.descending
        ),
    ]


def _value(field: Field) -> ColumnElement[Any]:
    """Get a field's value for the run at hand, NULL when it has none."""
    if field.entity == "attribute":
        if field.key in {"experiment_id", "experiment"}:
            return _experiment_value(field.key)
        return _ATTRIBUTES[field.key]
    if field.entity == "metric":
        return _metric_column(field, _summary_column(field.summary))
    table = _TEXT_FACTS[field.entity]
    return (
        select(table.c.value)
        .where(table.c.run_pk == _run.c.pk, table.c.key == field.key)
        .scalar_subquery()
    )


def _experiment_value(key: str) -> ColumnElement[Any]:
    if key == "experiment_id":
        return func.cast(_run.c.experiment_id, schema.run.c.run_id.type)
    table = schema.experiment
    return select(table.c.name).where(table.c.id == _run.c.experiment_id).scalar_subquery()


def _metric_column(field: Field, column: ColumnElement[Any]) -> ColumnElement[Any]:
    table = schema.metric
    return (
        select(column)
        .where(table.c.run_pk == _run.c.pk, table.c.key == field.key)
        .scalar_subquery()
    )


def _summary_column(summary: str) -> ColumnElement[Any]:
    table = schema.metric
    if summary == "mean":
        return table.c.sum / func.nullif(table.c.finite, 0)
    return table.c[{"last": "value", "count": "points"}.get(summary, summary)]


def _condition(node: Node) -> ColumnElement[bool]:
    match node:
        case And():
            return and_(true(), *(_condition(part) for part in node.parts))
        case Or():
            return or_(false(), *(_condition(part) for part in node.parts))
        case Not():
            return not_(_condition(node.part))
        case Comparison():
            return _comparison(node)


def _comparison(node: Comparison) -> ColumnElement[bool]:
    field = node.field
    if field.entity == "attribute":
        return _compare(_value(field), node)
    if field.entity == "dataset":
        return _run.c.pk.in_(_dataset_runs(node))
    if field.entity == "metric":
        table = schema.metric
        within = select(table.c.run_pk).where(
            table.c.key == field.key, _compare(_summary_column(field.summary), node)
        )
        return _run.c.pk.in_(within)
    table = _TEXT_FACTS[field.entity]
    with_key = select(table.c.run_pk).where(table.c.key == field.key)
    if node.operator == "IS NULL":
        return _run.c.pk.not_in(with_key)
    if node.operator == "IS NOT NULL":
        return _run.c.pk.in_(with_key)
    return _run.c.pk.in_(with_key.where(_compare(table.c.value, node)))


def _dataset_runs(node: Comparison) -> Select[Any]:
    columns = {
        "name": schema.dataset.c.name,
        "digest": schema.dataset.c.digest,
        "context": schema.run_input.c.context,
    }
    return (
        select(schema.run_input.c.run_pk)
        .join(schema.dataset, schema.dataset.c.id == schema.run_input.c.dataset_id)
        .where(_compare(columns[node.field.key], node))
    )


def _compare(column: ColumnElement[Any], node: Comparison) -> ColumnElement[bool]:
    value: Any = node.value
    if node.operator == "ILIKE":
        # The columns sort by bytes, and so `lower` knows ASCII alone, on both databases.
        lowered = "".join(each.lower() if each.isascii() else each for each in value)
        return func.lower(column).like(_literal(lowered), escape="\\")
    if node.operator == "IS NULL":
        return column.is_(None) | (column == "")
    if node.operator == "IS NOT NULL":
        return column.is_not(None) & (column != "")
    compare: Callable[[Any, Any], ColumnElement[bool]] = _COMPARE[node.operator]
    return compare(column, value)


def _literal(pattern: str) -> str:
    """Let a backslash in a pattern stand for itself, as it does in SQLite."""
    return pattern.replace("\\", "\\\\")


def _after(keys: list[_SortKey], token: str) -> ColumnElement[bool]:
    """Select what comes after a page's last run: greater at the first key that differs."""
    values = _decode(token, len(keys))
    alternatives = []
    for index, key in enumerate(keys):
        same = [before.column == values[at] for at, before in enumerate(keys[:index])]
        value = literal(values[index])
        beyond = key.column < value if key.descending else key.column > value
        alternatives.append(and_(true(), *same, beyond))
    return or_(*alternatives)


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(values)).decode().rstrip("=")


def _decode(token: str, count: int) -> list[Any]:
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        values = msgspec.msgpack.decode(data, type=list[int | float | str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        msg = "Invalid page token. Ask for the first page again."
        raise InvalidInputError(msg) from error
    if len(values) != count:
        msg = "The page token belongs to another order. Ask for the first page again."
        raise InvalidInputError(msg)
    return values
