"""Pages of a search that hold together while the table is written.

A page's token holds the place of its last row in the order. What is added while somebody turns
the pages shifts none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, or_

from loopline.errors import InvalidInputError
from loopline.store.page_tokens import decode_place, encode_place, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from loopline.store.database import Store

__all__ = ["Key", "check_count", "read_page"]


class Key(NamedTuple):
    """What rows are ordered by; never NULL. The last key of an order tells any two rows apart."""

    column: ColumnElement[Any]
    descending: bool = False


def check_count(given: int, most: int) -> None:
    """Check how many rows are asked for.

    Raises:
        InvalidInputError: None, or more than there may be.
    """
    if not 0 < given <= most:
        msg = (
            f"Invalid value {given} for parameter 'max_results' supplied: it must lie between 1 "
            f"and {most:,}. Ask for more by pages."
        )
        raise InvalidInputError(msg)


def read_page(
    store: Store,
    connection: Connection,
    query: Select[Any],
    keys: Sequence[Key],
    *,
    stamp: bytes,
    token: str,
    most: int,
) -> tuple[Sequence[Row[Any]], str]:
    """Read the rows of a page, and where the next one begins (empty: no more).

    Args:
        store: What is searched; its key signs the tokens.
        connection: A transaction.
        query: What is searched.
        keys: Its order, total.
        stamp: The search: another one cannot go on from its pages.
        token: From the page before; empty: the first page.
        most: Rows of a page.
    """
    columns = [key.column for key in keys]
    if token:
        place = decode_place(key_of(store, connection), token, stamp, len(columns))
        query = query.where(_after(place, keys))
    by = [key.column.desc() if key.descending else key.column.asc() for key in keys]
    places = [column.label(f"place_{index}") for index, column in enumerate(columns)]
    rows = connection.execute(query.add_columns(*places).order_by(*by).limit(most + 1)).all()
    shown = rows[:most]
    if len(rows) == len(shown):
        return shown, ""
    place = tuple(shown[-1][-len(columns) :])
    return shown, encode_place(key_of(store, connection), stamp, place)


def _after(place: tuple[Any, ...], keys: Sequence[Key]) -> ColumnElement[bool]:
    """Say that a row comes after a place: beyond it in a key, and level in all before that."""
    steps = []
    for index, (key, value) in enumerate(zip(keys, place, strict=True)):
        level = [earlier.column == place[at] for at, earlier in enumerate(keys[:index])]
        steps.append(and_(*level, key.column < value if key.descending else key.column > value))
    return or_(*steps)
