"""Who or what started a flow run, and how many automations led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select

from loopline.errors import InvalidInputError
from loopline.records.flows import Origin
from loopline.store import schema
from loopline.store.callers import caller_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["BY_SOMEBODY", "SCHEDULED", "Started", "asked_for"]

_run = schema.flow_run
#: Longest name of somebody, or id of a flow run, that is kept.
LONGEST_NAME = 250

#: How many automations led to a flow run. Index look-up.
DEPTH = select(_run.c.depth).where(_run.c.flow_run_id == bindparam("id"))


class Started(NamedTuple):
    """How a flow run came to be; its fields are columns of ``ll_flow_run``."""

    origin: Origin = Origin.PERSON
    started_by: str = ""
    depth: int = 0


BY_SOMEBODY = Started()
SCHEDULED = Started(Origin.SCHEDULE)


def asked_for(connection: Connection, *, parent: str = "", actor: str = "") -> Started:
    """Tell who asks for a flow run: a flow run that is under way, or a person.

    A server knows who asks; elsewhere it is who they say. What a flow run starts is as deep as it:
    automations cannot escape their limit by a flow that starts flows.

    Raises:
        InvalidInputError: A name is too long.
    """
    if len(parent) > LONGEST_NAME or len(actor) > LONGEST_NAME:
        msg = f"actor and parent have at most {LONGEST_NAME} characters."
        raise InvalidInputError(msg)
    if parent:
        depth = connection.execute(DEPTH, {"id": parent}).scalar()
        return Started(Origin.FLOW_RUN, parent, int(depth or 0))
    caller = caller_of(connection)
    return Started(started_by=caller.name if caller is not None and caller.name else actor)
