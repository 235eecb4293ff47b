"""What all steps of the lineage graph share: links, nodes, and asking by many keys at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func

from loopline.records.lineage import LineageNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

__all__ = ["Kind", "Link", "first_by", "node_name", "node_of", "one_by", "rows_by", "unindexed"]

#: Digits with which a key of hex digits may be abbreviated.
_SHORTENED = re.compile(r"[0-9a-f]{8,63}")

#: Keys asked for with one statement.
TOGETHER = 400


class Link(NamedTuple):
    """A step from one node to another.

    Attributes:
        of: Name of the node it goes out from.
        node: Where it leads.
        label: How the two are connected.
    """

    of: str
    node: LineageNode
    label: str = ""


class Kind(NamedTuple):
    """A kind of node.

    Attributes:
        find: Gets a node by its key; None: there is none that the caller may view.
        up: Steps to what led to nodes of this kind.
        down: Steps to what came of them.
    """

    find: Callable[[Connection, str], LineageNode | None]
    up: tuple[Callable[[Connection, Sequence[str], int], list[Link]], ...] = ()
    down: tuple[Callable[[Connection, Sequence[str], int], list[Link]], ...] = ()


def node_name(kind: str, key: str) -> str:
    """Name a node in the graph."""
    return f"{kind.replace(' ', '-')}:{key}"


def node_of(kind: str, key: str, title: str, *, state: str = "", at_ms: int = 0) -> LineageNode:
    """Make a node."""
    return LineageNode(
        node=node_name(kind, key), kind=kind, key=key, title=title, state=state, at_ms=at_ms
    )


def unindexed(column: Any) -> ColumnElement[Any]:  # noqa: ANN401 - a column
    """Name a column so that it is looked at, and no index of it is walked.

    Nearly all runs are in use and may be viewed: SQLite, which does not know that, would go through
    all of them instead of the few that the keys name.
    """
    return func.coalesce(column, column)


def rows_by(
    connection: Connection,
    query: Select[Any],
    column: Any,  # noqa: ANN401 - a column or several
    keys: Sequence[Any],
    most: int,
) -> list[Row[Any]]:
    """Ask for rows by many keys, some hundreds a statement, until there are enough."""
    found: list[Row[Any]] = []
    for start in range(0, len(keys), TOGETHER):
        some = keys[start : start + TOGETHER]
        found += connection.execute(query.where(column.in_(some)).limit(most - len(found))).all()
        if len(found) >= most:
            break
    return found


def first_by(
    connection: Connection,
    query: Select[Any],
    column: Any,  # noqa: ANN401 - a column
    key: object,
) -> Row[Any] | None:
    """Ask for one row by a key."""
    return connection.execute(query.where(column == key)).first()


def one_by(
    connection: Connection,
    query: Select[Any],
    column: Any,  # noqa: ANN401 - a column
    key: str,
) -> Row[Any] | None:
    """Ask for one row by a key of hex digits, or by the first digits that only one key has."""
    row = first_by(connection, query, column, key)
    if row is not None or not _SHORTENED.fullmatch(key):
        return row
    # A range, which the index answers; "g" comes right after the last hex digit.
    within = query.with_only_columns(column).where(column > key, column < f"{key}g").distinct()
    found = connection.execute(within.order_by(None).limit(2)).scalars().all()
    return first_by(connection, query, column, found[0]) if len(found) == 1 else None
