"""On whose behalf a transaction runs, and so what of the store it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.rules.access import visible

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.records.identity import Caller, Thing

__all__ = ["act_for", "caller_of", "only_visible", "visible_in"]

_CALLER = "loopline_caller"


def act_for(connection: Connection, caller: Caller | None) -> None:
    """Let a transaction run for a caller of a server; None: for who owns the store."""
    connection.execution_options(**{_CALLER: caller})


def caller_of(connection: Connection) -> Caller | None:
    """Tell for whom a transaction runs; None: for who owns the store."""
    caller: Caller | None = connection.get_execution_options().get(_CALLER)
    return caller


def visible_in(connection: Connection, thing: Thing) -> frozenset[Any] | None:
    """Name the things of a kind that a query may look at; None: all of them."""
    caller = caller_of(connection)
    return None if caller is None else visible(caller.access, thing)


def only_visible(
    connection: Connection, thing: Thing, column: ColumnElement[Any]
) -> list[ColumnElement[bool]]:
    """Say as conditions which rows a query may find, by the column that names their thing."""
    names = visible_in(connection, thing)
    return [] if names is None else [column.in_(sorted(names))]
