"""Limits: how many runs of a flow, and how many tasks with a tag, run at a time.

Nothing counts down: what is taken is counted among the flow runs that are held now. Whoever dies
has therefore given everything back as soon as its lease is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from loopline.errors import InvalidInputError
from loopline.records.flow_operations import TagLimit
from loopline.records.flows import StateKind
from loopline.store import schema
from loopline.store.flow_facts import check_token
from loopline.store.flow_rows import flow_run_row, newest_version
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.records import flow_operations as ops
    from loopline.store.database import Store

__all__ = [
    "HELD",
    "flows_at_their_limit",
    "give_task_slots",
    "is_held",
    "list_tag_limits",
    "set_flow_limit",
    "set_tag_limit",
    "take_task_slots",
]

_flow = schema.flow
_run = schema.flow_run
_limit = schema.tag_limit
_slot = schema.tag_slot

#: States of a flow run that somebody has.
HELD = (StateKind.SUBMITTED, StateKind.RUNNING, StateKind.RETRYING)
MOST = 1_000_000


def is_held(now_ms: int) -> ColumnElement[bool]:
    """Tell of a flow run whether somebody runs it now; ``flow.run()`` holds it without a lease."""
    return and_(
        _run.c.state.in_(HELD), or_(_run.c.lease_until_ms > now_ms, _run.c.flow_version_id == "")
    )


def _check_most(most: int) -> None:
    if not 0 <= most <= MOST:
        msg = f"A limit lies between 1 and {MOST:,}, or is 0 for none; it is not {most}."
        raise InvalidInputError(msg)


def set_flow_limit(_store: Store, connection: Connection, call: ops.SetFlowLimit) -> int:
    """Let at most so many runs of a flow run at a time."""
    _check_most(call.most)
    flow_id, _ = newest_version(connection, call.project, call.name)
    connection.execute(update(_flow).where(_flow.c.id == flow_id).values(most_runs=call.most))
    return call.most


def flows_at_their_limit(connection: Connection, now_ms: int) -> dict[int, tuple[int, int]]:
    """Find the flows of which no more runs may begin, with how many run and may."""
    running = func.count()
    rows = connection.execute(
        select(_flow.c.id, running, _flow.c.most_runs)
        .join(_run, _run.c.flow_id == _flow.c.id)
        .where(_flow.c.most_runs > 0, is_held(now_ms))
        .group_by(_flow.c.id, _flow.c.most_runs)
        .having(running >= _flow.c.most_runs)
    ).all()
    return {row[0]: (row[1], row[2]) for row in rows}


def set_tag_limit(store: Store, connection: Connection, call: ops.SetTagLimit) -> TagLimit:
    """Let at most so many tasks with a tag run at a time."""
    _check_most(call.most)
    if not call.tag.strip() or len(call.tag) > 500:  # noqa: PLR2004 - as for other names
        msg = "A tag has 1 to 500 characters."
        raise InvalidInputError(msg)
    if call.most:
        connection.execute(InsertOrReplace(_limit).values(tag=call.tag, most=call.most))
    else:
        connection.execute(delete(_limit).where(_limit.c.tag == call.tag))
    taken = _taken(connection, [call.tag], store.clock())
    return TagLimit(tag=call.tag, most=call.most, taken=taken.get(call.tag, 0))


def list_tag_limits(
    store: Store, connection: Connection, _call: ops.ListTagLimits
) -> list[TagLimit]:
    """List the tags that have a limit."""
    rows = connection.execute(select(_limit).order_by(_limit.c.tag)).all()
    taken = _taken(connection, [row.tag for row in rows], store.clock())
    return [TagLimit(tag=row.tag, most=row.most, taken=taken.get(row.tag, 0)) for row in rows]


def _taken(connection: Connection, tags: list[str], now_ms: int) -> dict[str, int]:
    rows: Any = connection.execute(
        select(_slot.c.tag, func.count())
        .join(_run, and_(_run.c.flow_run_id == _slot.c.flow_run_id, _run.c.token == _slot.c.token))
        .where(_slot.c.tag.in_(tags), is_held(now_ms))
        .group_by(_slot.c.tag)
    ).all()
    return {tag: int(count) for tag, count in rows}


def take_task_slots(store: Store, connection: Connection, call: ops.TakeTaskSlots) -> str:
    """Take a slot of each limited tag for a task; answer why it must wait, or nothing."""
    row = flow_run_row(connection, call.flow_run_id)
    check_token(call.flow_run_id, row.token, row.worker, call.token)
    rows = connection.execute(select(_limit).where(_limit.c.tag.in_(call.tags))).all()
    if not rows:
        return ""
    # What it had before, under an older token say, does not stand in its own way.
    _give(connection, call)
    taken = _taken(connection, [row.tag for row in rows], store.clock())
    full = [row for row in rows if taken.get(row.tag, 0) >= row.most]
    if full:
        words = ", ".join(f"{taken[row.tag]} of {row.most} with tag {row.tag!r}" for row in full)
        return f"Waits for others to end: {words} run now."
    values = {
        "flow_run_id": call.flow_run_id,
        "task_slug": call.task_slug,
        "map_index": call.map_index,
        "token": call.token,
    }
    connection.execute(insert(_slot), [{"tag": row.tag, **values} for row in rows])
    return ""


def give_task_slots(_store: Store, connection: Connection, call: ops.GiveTaskSlots) -> None:
    """Give the slots of a task back."""
    row = flow_run_row(connection, call.flow_run_id)
    if row.token == call.token:
        _give(connection, call)


def _give(connection: Connection, call: ops.GiveTaskSlots | ops.TakeTaskSlots) -> None:
    connection.execute(
        delete(_slot).where(
            _slot.c.flow_run_id == call.flow_run_id,
            _slot.c.task_slug == call.task_slug,
            _slot.c.map_index == call.map_index,
        )
    )
