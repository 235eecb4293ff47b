"""Whose the flow runs of ``flow.run()`` are: they belong to no project that a role could be on.

Who recorded one on a server sees it and may change it, as far as they may do so with anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, or_, select

from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.callers import caller_of, only_visible
from loopline.store.upserts import InsertOrIgnore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

__all__ = ["note_author", "own_flow_runs", "visible_flow_runs"]

_run = schema.flow_run
_author = schema.flow_run_author
_user = schema.user

#: The flow runs that a user recorded. Index scan on the user.
OWN = (
    select(_author.c.flow_run_id)
    .join(_user, _user.c.id == _author.c.user_id)
    .where(_user.c.name == bindparam("author"))
)


def note_author(connection: Connection, flow_run_id: str) -> None:
    """Keep who records a new flow run; where nobody is asked who they are, it is nobody's."""
    caller = caller_of(connection)
    if caller is None or not caller.name:
        return
    user = select(_user.c.id).where(_user.c.name == caller.name)
    user_id = connection.execute(user).scalar_one_or_none()
    if user_id is not None:
        connection.execute(InsertOrIgnore(_author).values(flow_run_id=flow_run_id, user_id=user_id))


def own_flow_runs(connection: Connection, flow_run_ids: Iterable[str]) -> set[str]:
    """Tell which of some flow runs the caller recorded; as many as one statement takes."""
    caller = caller_of(connection)
    if caller is None or not caller.name:
        return set()
    query = OWN.where(_author.c.flow_run_id.in_(list(flow_run_ids)))
    return set(connection.execute(query, {"author": caller.name}).scalars())


def visible_flow_runs(connection: Connection) -> list[ColumnElement[bool]]:
    """Say as conditions which flow runs a query may find."""
    seen = only_visible(connection, Thing.PROJECT, _run.c.project)
    caller = caller_of(connection)
    if not seen or caller is None or not caller.name:
        return seen
    own = _run.c.flow_run_id.in_(OWN.params(author=caller.name))
    return [or_(*seen, own)]
