"""The search language in SQL: what a field is for the run at hand, and when a condition holds.

Every term speaks of one row of ``ll_run``. A condition on a param, tag or metric is one look-up
by primary key, so what a search costs is decided by how many runs are looked at: that is the
business of ``search_plan``.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from loopline.rules.filters import And, Comparison, Field, Node, Not, Or
from loopline.store import long_texts, schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import FromClause

__all__ = ["FACT_TABLES", "compare", "compare_fact", "condition", "metric_column", "value_of"]

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
#: Where facts of a kind are, one row a run and key.
FACT_TABLES = {"param": schema.param, "tag": schema.tag, "metric": schema.metric}

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


def value_of(field: Field) -> ColumnElement[Any]:
    """Get a field's value for the run at hand, NULL when it has none."""
    if field.entity == "attribute":
        if field.key == "experiment_id":
            return cast(_run.c.experiment_id, _run.c.run_id.type)
        if field.key == "artifact_uri":  # As a server tells it to MLflow's clients.
            experiment = cast(_run.c.experiment_id, _run.c.run_id.type)
            root = literal("mlflow-artifacts:/", _run.c.run_id.type)
            return root + experiment + "/" + _run.c.run_id + "/artifacts"
        if field.key == "experiment":
            table = schema.experiment
            return select(table.c.name).where(table.c.id == _run.c.experiment_id).scalar_subquery()
        return _ATTRIBUTES[field.key]
    if field.entity == "metric":
        return metric_column(field, _summary(schema.metric, field.summary))
    table = FACT_TABLES[field.entity]
    return _of_run(table, field.key, table.c.value)


def metric_column(field: Field, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Get a column of a metric's summary for the run at hand."""
    return _of_run(schema.metric, field.key, column)


def _of_run(table: Any, key: str, column: ColumnElement[Any]) -> ColumnElement[Any]:  # noqa: ANN401
    return (
        select(column)
        .where(table.c.run_pk == _run.c.pk, table.c.key == key)
        .correlate(_run)
        .scalar_subquery()
    )


def _summary(table: FromClause, summary: str) -> ColumnElement[Any]:
    if summary == "mean":
        return table.c.sum / func.nullif(table.c.finite, 0)
    return table.c[{"last": "value", "count": "points"}.get(summary, summary)]


def condition(
    node: Node, holds: Callable[[Comparison], ColumnElement[bool]] | None = None
) -> ColumnElement[bool]:
    """Say when a filter holds for the run at hand.

    Args:
        node: The filter.
        holds: Says it of one comparison, when what is at hand is no run. Never NULL, or neither
            a comparison nor its NOT would hold.
    """
    match node:
        case And():
            return and_(true(), *(condition(part, holds) for part in node.parts))
        case Or():
            return or_(false(), *(condition(part, holds) for part in node.parts))
        case Not():
            return not_(condition(node.part, holds))
        case Comparison():
            return (holds or _comparison)(node)


def _comparison(node: Comparison) -> ColumnElement[bool]:
    field = node.field
    if field.entity == "attribute":
        return compare(value_of(field), node)
    if field.entity == "dataset":
        return _read_dataset(node)
    table = FACT_TABLES[field.entity]
    of_run = and_(table.c.run_pk == _run.c.pk, table.c.key == field.key)
    if node.operator == "IS NULL":
        return not_(exists().where(of_run).correlate(_run))
    if node.operator == "IS NOT NULL":
        return exists().where(of_run).correlate(_run)
    return exists().where(of_run, compare_fact(table, node)).correlate(_run)


def _read_dataset(node: Comparison) -> ColumnElement[bool]:
    columns: dict[str, ColumnElement[Any]] = {
        "name": schema.dataset.c.name,
        "digest": schema.dataset.c.digest,
        "context": schema.run_input.c.context,
    }
    return _run.c.pk.in_(
        select(schema.run_input.c.run_pk)
        .join(schema.dataset, schema.dataset.c.id == schema.run_input.c.dataset_id)
        .where(compare(columns[node.field.key], node))
    )


def compare_fact(table: Any, node: Comparison) -> ColumnElement[bool]:  # noqa: ANN401
    """Compare the value of a fact, in its table or an alias of it, as a filter says."""
    if node.field.entity == "metric":
        return compare(_summary(table, node.field.summary), node)
    value: Any = node.value
    match node.operator:
        case "=":
            return long_texts.same(table, value)
        case "!=":
            return not_(long_texts.same(table, value))
        case "IN":
            return long_texts.is_one_of(table, value)
        case "NOT IN":
            return not_(long_texts.is_one_of(table, value))
        case _:
            return compare(long_texts.whole(table), node)


def compare(column: ColumnElement[Any], node: Comparison) -> ColumnElement[bool]:
    """Compare a column as a filter says."""
    value: Any = node.value
    if node.operator == "ILIKE":
        # The columns sort by bytes, and so `lower` knows ASCII alone, on both databases.
        lowered = "".join(each.lower() if each.isascii() else each for each in value)
        return func.lower(column).like(_literal(lowered), escape="\\")
    if node.operator == "IS NULL":
        return column.is_(None) | (column == "")
    if node.operator == "IS NOT NULL":
        return column.is_not(None) & (column != "")
    chosen: Callable[[Any, Any], ColumnElement[bool]] = _COMPARE[node.operator]
    return chosen(column, value)


def _literal(pattern: str) -> str:
    """Let a backslash in a pattern stand for itself, as it does in SQLite."""
    return pattern.replace("\\", "\\\\")
