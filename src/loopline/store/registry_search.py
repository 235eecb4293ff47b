"""Searching the registry: a filter, an order, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, case, exists, not_, select

from loopline.records.identity import Thing
from loopline.records.registry import ModelPage, VersionPage
from loopline.rules.registry_filters import (
    parse_model_filter,
    parse_model_order,
    parse_version_filter,
    parse_version_order,
)
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.page_tokens import stamp_of
from loopline.store.paging import Key, check_count, read_page
from loopline.store.registry_rows import VERSIONS, model_records, version_records
from loopline.store.search_terms import compare, condition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from loopline.records import operations as ops
    from loopline.rules.filters import Comparison, Node, OrderBy
    from loopline.store.database import Store

__all__ = ["search_models", "search_versions"]

MAX_MODELS = 1_000
MAX_VERSIONS = 200_000

_model = schema.model
_version = schema.model_version
_model_tag = schema.model_tag
_version_tag = schema.model_version_tag

_MODEL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _model.c.name,
    "last_updated_timestamp": _model.c.updated_ms,
}
_VERSION_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": _version.c.name,
    "version_number": _version.c.version,
    "run_id": _version.c.run_id,
    # What was registered in Loopline's own words has the address of its run's folder.
    "source_path": case(
        (_version.c.source != "", _version.c.source),
        (_version.c.artifact_path == "", ""),
        else_="runs:/" + _version.c.run_id + "/" + _version.c.artifact_path,
    ),
    "creation_timestamp": _version.c.created_ms,
    "last_updated_timestamp": _version.c.updated_ms,
}


def search_models(store: Store, connection: Connection, call: ops.SearchModels) -> ModelPage:
    """Search registered models: one statement, and three for every 500 found."""
    check_count(call.max_results, MAX_MODELS)
    rows, token = _page(
        store,
        connection,
        select(_model).where(*only_visible(connection, Thing.MODEL, _model.c.name)),
        call,
        parse_model_filter(call.filter),
        parse_model_order(call.order_by),
        _MODEL_COLUMNS,
        _model_holds,
    )
    return ModelPage(models=model_records(connection, rows), next_page_token=token)


def search_versions(store: Store, connection: Connection, call: ops.SearchVersions) -> VersionPage:
    """Search versions of all models: one statement, and one for every 500 found."""
    check_count(call.max_results, MAX_VERSIONS)
    rows, token = _page(
        store,
        connection,
        VERSIONS.where(*only_visible(connection, Thing.MODEL, _version.c.name)),
        call,
        parse_version_filter(call.filter),
        parse_version_order(call.order_by),
        _VERSION_COLUMNS,
        _version_holds,
    )
    return VersionPage(versions=version_records(connection, rows), next_page_token=token)


def _page(
    store: Store,
    connection: Connection,
    query: Select[Any],
    call: ops.SearchModels | ops.SearchVersions,
    node: Node | None,
    orders: list[OrderBy],
    columns: Mapping[str, ColumnElement[Any]],
    holds: Callable[[Comparison], ColumnElement[bool]],
) -> tuple[Sequence[Row[Any]], str]:
    if node is not None:
        query = query.where(condition(node, holds))
    return read_page(
        store,
        connection,
        query,
        [Key(columns[each.field.key], each.descending) for each in orders],
        stamp=stamp_of(type(call).__name__, call.filter, call.order_by),
        token=call.page_token,
        most=call.max_results,
    )


def _model_holds(node: Comparison) -> ColumnElement[bool]:
    if node.field.entity == "tag":
        return _has_tag(node, _model_tag, _model_tag.c.name == _model.c.name, _model)
    return _is_said(_MODEL_COLUMNS[node.field.key], node)


def _version_holds(node: Comparison) -> ColumnElement[bool]:
    if node.field.entity == "tag":
        of_version = and_(
            _version_tag.c.name == _version.c.name, _version_tag.c.version == _version.c.version
        )
        return _has_tag(node, _version_tag, of_version, _version)
    return _is_said(_VERSION_COLUMNS[node.field.key], node)


def _has_tag(
    node: Comparison,
    table: Any,  # noqa: ANN401 - a table of tags
    belongs: ColumnElement[bool],
    owner: Any,  # noqa: ANN401 - the table of what has tags
) -> ColumnElement[bool]:
    """Compare a tag: one look-up by primary key. One that is not there is like nothing."""
    found = exists().where(belongs, table.c.key == node.field.key)
    if node.operator == "IS NULL":
        return not_(found.correlate(owner))
    if node.operator != "IS NOT NULL":
        found = found.where(compare(table.c.value, node))
    return found.correlate(owner)


def _is_said(column: ColumnElement[Any], node: Comparison) -> ColumnElement[bool]:
    """Compare an attribute; an empty text stands for none, and is like nothing."""
    if node.field.is_number or node.operator in {"IS NULL", "IS NOT NULL"}:
        return compare(column, node)
    return and_(column != "", compare(column, node))
