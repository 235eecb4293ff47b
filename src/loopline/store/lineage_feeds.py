"""Feeds in the graph, and the data versions that are rows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.lineage_links import Link, first_by, node_name, node_of, rows_by
from loopline.store.lineage_runs import data_node, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = ["data_of_feeds", "feeds_of_data", "find_feed"]

_feed = schema.feed
_dataset = schema.dataset

COLUMNS = (_feed.c.name, _feed.c.rows, _feed.c.created_ms)


def _feeds(connection: Connection, *more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    seen = only_visible(connection, Thing.PROJECT, _feed.c.project)
    return select(*COLUMNS, *more).where(*seen)


def _feed_node(row: Row[Any]) -> LineageNode:
    state = f"{row.rows:,} rows"
    return node_of("feed", row.name, row.name, state=state, at_ms=row.created_ms)


def find_feed(connection: Connection, key: str) -> LineageNode | None:
    """Find a feed."""
    row = first_by(connection, _feeds(connection), _feed.c.name, key)
    return None if row is None else _feed_node(row)


def feeds_of_data(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From data to the feeds that they are rows of. Index look-up by digest."""
    query = _feeds(connection, _dataset.c.digest).join(_dataset, _dataset.c.feed == _feed.c.name)
    rows = rows_by(connection, query.distinct(), _dataset.c.digest, keys, most)
    return [Link(node_name("data", row.digest), _feed_node(row), "rows of") for row in rows]


def data_of_feeds(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From feeds to the data that runs read of them. Index look-up by feed."""
    query = (
        reading(connection)
        .with_only_columns(_dataset.c.digest, _dataset.c.name, _dataset.c.feed)
        .distinct()
        .order_by(_dataset.c.name)
    )
    return [
        Link(node_name("feed", row.feed), data_node(row.digest, row.name), "rows of")
        for row in rows_by(connection, query, _dataset.c.feed, keys, most)
    ]
