"""Searching logged models: a filter, an order that may go by metrics, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import ColumnElement, and_, case, cast, exists, func, literal, not_, or_, select

from loopline.records.identity import Thing
from loopline.records.logged_models import LoggedModelPage
from loopline.rules.logged_model_filters import (
    parse_logged_model_filter,
    parse_logged_model_order,
)
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.experiments import parse_id
from loopline.store.lifecycle import parse_lifecycle
from loopline.store.logged_models import logged_model_records
from loopline.store.page_tokens import stamp_of
from loopline.store.paging import Key, check_count, read_page
from loopline.store.search_terms import compare, condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.logged_models import DatasetName, LoggedModelOrder
    from loopline.rules.filters import Comparison, Field
    from loopline.store.database import Store

__all__ = ["search_logged_models"]

MOST = 1_000

_model = schema.logged_model
_metric = schema.logged_model_metric
_TEXTS = {"param": schema.logged_model_param, "tag": schema.logged_model_tag}
_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _model.c.name,
    "model_id": _model.c.model_id,
    "model_type": _model.c.model_type,
    "status": _model.c.status,
    "source_run_id": _model.c.source_run_id,
    "experiment_id": cast(_model.c.experiment_id, _model.c.model_id.type),
    "creation_timestamp": _model.c.created_ms,
    "last_updated_timestamp": _model.c.updated_ms,
}
_NEWEST = (Key(_model.c.created_ms, descending=True), Key(_model.c.model_id))


def search_logged_models(
    store: Store, connection: Connection, call: ops.SearchLoggedModels
) -> LoggedModelPage:
    """Search logged models: one statement, and four for every 500 found."""
    check_count(call.max_results, MOST)
    query = select(_model).where(
        *only_visible(connection, Thing.EXPERIMENT, _model.c.experiment_id)
    )
    lifecycle = parse_lifecycle(call.lifecycle)
    if lifecycle is not None:
        query = query.where(_model.c.lifecycle == lifecycle)
    if call.experiment_ids:
        numbers = [parse_id(each) for each in call.experiment_ids]
        query = query.where(_model.c.experiment_id.in_(numbers))
    node = parse_logged_model_filter(call.filter)
    if node is not None:
        query = query.where(condition(node, lambda each: _holds(each, call.datasets)))
    asked = msgspec.to_builtins(
        (call.experiment_ids, call.filter, call.datasets, call.order_by, call.lifecycle),
        order="deterministic",
    )
    rows, token = read_page(
        store,
        connection,
        query,
        _keys(call.order_by),
        stamp=stamp_of(type(call).__name__, asked),
        token=call.page_token,
        most=call.max_results,
    )
    return LoggedModelPage(models=logged_model_records(connection, rows), next_page_token=token)


def _holds(node: Comparison, datasets: Sequence[DatasetName]) -> ColumnElement[bool]:
    """Say that a comparison holds for the model at hand; never NULL."""
    field = node.field
    if field.entity == "metric":
        of_model = and_(
            _metric.c.model_pk == _model.c.pk, _metric.c.key == field.key, _on(datasets)
        )
        return exists().where(of_model, compare(_metric.c.value, node)).correlate(_model)
    if field.entity in _TEXTS:
        table = _TEXTS[field.entity]
        found = exists().where(table.c.model_pk == _model.c.pk, table.c.key == field.key)
        if node.operator == "IS NULL":
            return not_(found.correlate(_model))
        if node.operator != "IS NOT NULL":
            found = found.where(compare(table.c.value, node))
        return found.correlate(_model)
    return compare(_COLUMNS[field.key], node)


def _on(datasets: Sequence[DatasetName]) -> ColumnElement[bool]:
    """Say that the point at hand was measured on one of some data versions; none: on any."""
    each = [
        and_(
            _metric.c.dataset_name == dataset.name,
            *([_metric.c.dataset_digest == dataset.digest] if dataset.digest else []),
        )
        for dataset in datasets
    ]
    return or_(*each) if each else literal(value=True)


def _keys(orders: Sequence[LoggedModelOrder]) -> list[Key]:
    """Make an order total. What a model lacks puts it last, whichever way the order goes."""
    keys: list[Key] = []
    fields = parse_logged_model_order([order.field for order in orders])
    for field, order in zip(fields, orders, strict=True):
        if field.entity == "attribute":
            keys.append(Key(_COLUMNS[field.key], not order.ascending))
            continue
        value, nothing = _value(field, order)
        keys.append(Key(case((value.is_(None), 1), else_=0)))
        keys.append(Key(func.coalesce(value, nothing), not order.ascending))
    return [*keys, *_NEWEST]


def _value(field: Field, order: LoggedModelOrder) -> tuple[ColumnElement[Any], Any]:
    """Get what a model is ordered by, and what stands in the place of none."""
    if field.entity in _TEXTS:
        table = _TEXTS[field.entity]
        text = select(table.c.value).where(
            table.c.model_pk == _model.c.pk, table.c.key == field.key
        )
        return text.correlate(_model).scalar_subquery(), literal("", table.c.value.type)
    datasets = [order.dataset] if order.dataset else []
    number = (
        select(_metric.c.value)
        .where(_metric.c.model_pk == _model.c.pk, _metric.c.key == field.key, _on(datasets))
        .order_by(_metric.c.step.desc(), _metric.c.timestamp_ms.desc(), _metric.c.run_id)
        .limit(1)
    )
    return number.correlate(_model).scalar_subquery(), literal(0.0, _metric.c.value.type)
