"""Facts of flow runs: states checked against the fencing token, task states, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select, update

from loopline.errors import ConflictError
from loopline.records.flows import StateKind
from loopline.store import schema
from loopline.store.inserted import inserted_id

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import facts as f

__all__ = [
    "add_flow_run_event",
    "add_logs",
    "close_lost_flow_runs",
    "set_flow_run_state",
    "set_task_run_state",
]

_flow_run = schema.flow_run
_task_run = schema.task_run

_STARTED = {StateKind.RUNNING}


def set_flow_run_state(
    connection: Connection, fact: f.FlowRunState, writer: str, now_ms: int
) -> None:
    """Move a flow run to a state; the first state of an unknown id makes the flow run."""
    row = connection.execute(
        select(_flow_run).where(_flow_run.c.flow_run_id == fact.flow_run_id)
    ).first()
    if row is None:
        connection.execute(
            insert(_flow_run).values(
                flow_run_id=fact.flow_run_id,
                flow_name=fact.flow_name or "flow",
                name=fact.name,
                parameters=msgspec.json.encode(fact.parameters).decode(),
                graph=None if fact.graph is None else msgspec.json.encode(fact.graph).decode(),
                state=fact.state,
                message=fact.message,
                scheduled_ms=fact.at_ms,
                created_ms=now_ms,
                start_ms=fact.at_ms if fact.state in _STARTED else None,
                end_ms=fact.at_ms if fact.state.is_finished else None,
                token=fact.token,
                writer="" if fact.token else writer,
            )
        )
    else:
        check_token(row, fact.token)
        changes: dict[str, Any] = {"state": fact.state, "message": fact.message}
        if fact.state in _STARTED and row.start_ms is None:
            changes["start_ms"] = fact.at_ms
        if fact.state.is_finished:
            # A clock that jumped back must not make the run's duration negative.
            changes["end_ms"] = max(fact.at_ms, row.start_ms or fact.at_ms)
            changes["lease_until_ms"] = 0
        connection.execute(
            update(_flow_run).where(_flow_run.c.flow_run_id == fact.flow_run_id).values(**changes)
        )
    add_flow_run_event(connection, fact.flow_run_id, fact.at_ms, fact.state, fact.message)


def close_lost_flow_runs(connection: Connection, reason: str, now_ms: int) -> None:
    """Fail the flow runs of ``flow.run()`` whose process is gone; leased ones are taken over."""
    gone = select(schema.writer.c.writer).where(schema.writer.c.is_gone.is_(True))
    open_states = [state for state in StateKind if not state.is_finished]
    rows = connection.execute(
        select(_flow_run.c.flow_run_id).where(
            _flow_run.c.writer.in_(gone), _flow_run.c.state.in_(open_states)
        )
    ).scalars()
    for flow_run_id in list(rows):
        connection.execute(
            update(_flow_run)
            .where(_flow_run.c.flow_run_id == flow_run_id)
            .values(state=StateKind.FAILED, message=reason, end_ms=now_ms)
        )
        add_flow_run_event(
            connection, flow_run_id, now_ms, StateKind.FAILED, reason, actor="loopline"
        )


def check_token(row: Row[Any], token: int) -> None:
    """Refuse what comes from a holder that is no longer the newest one."""
    if token != row.token:
        msg = (
            f"The flow run {row.flow_run_id} went to {row.worker or 'another worker'} under "
            f"token {row.token}; a record under token {token} comes too late."
        )
        raise ConflictError(msg)


def set_task_run_state(connection: Connection, fact: f.TaskRunState) -> None:
    """Move a task run to a state."""
    run: Row[Any] | None = connection.execute(
        select(_flow_run).where(_flow_run.c.flow_run_id == fact.flow_run_id)
    ).first()
    if run is not None:
        check_token(run, fact.token)
    which = (
        (_task_run.c.flow_run_id == fact.flow_run_id)
        & (_task_run.c.task_slug == fact.task_slug)
        & (_task_run.c.map_index == fact.map_index)
    )
    row = connection.execute(select(_task_run).where(which)).first()
    changes: dict[str, Any] = {
        "state": fact.state,
        "message": fact.message,
        "attempt": max(fact.attempt, row.attempt if row else 0),
    }
    if fact.state in _STARTED and (row is None or row.start_ms is None):
        changes["start_ms"] = fact.at_ms
    if fact.state.is_finished:
        start = row.start_ms if row is not None else None
        changes["end_ms"] = max(fact.at_ms, start if start is not None else fact.at_ms)
        changes["result"] = fact.result
    else:
        changes["end_ms"] = None
    event = add_flow_run_event(
        connection,
        fact.flow_run_id,
        fact.at_ms,
        fact.state,
        fact.message,
        task_slug=fact.task_slug,
        map_index=fact.map_index,
        attempt=fact.attempt,
    )
    if row is None:
        connection.execute(
            insert(_task_run).values(
                flow_run_id=fact.flow_run_id,
                task_slug=fact.task_slug,
                map_index=fact.map_index,
                seen=event,
                **changes,
            )
        )
    else:
        connection.execute(update(_task_run).where(which).values(**changes))


def add_flow_run_event(  # noqa: PLR0913 - the columns of an event
    connection: Connection,
    flow_run_id: str,
    at_ms: int,
    state: StateKind,
    message: str = "",
    *,
    task_slug: str = "",
    map_index: int = -1,
    attempt: int = 0,
    actor: str = "",
) -> int:
    """Append a change of state to a flow run's history; return the event's number."""
    made = connection.execute(
        insert(schema.flow_run_event).values(
            flow_run_id=flow_run_id,
            at_ms=at_ms,
            state=state,
            message=message,
            task_slug=task_slug,
            map_index=map_index,
            attempt=attempt,
            actor=actor,
        )
    )
    return inserted_id(made)


def add_logs(connection: Connection, fact: f.LogsWritten) -> None:
    """Append log lines."""
    if fact.lines:
        connection.execute(
            insert(schema.log_line),
            [
                {
                    "flow_run_id": line.flow_run_id,
                    "task_slug": line.task_slug,
                    "at_ms": line.at_ms,
                    "level": line.level,
                    "message": line.message.replace("\0", "\N{SYMBOL FOR NULL}"),
                }
                for line in fact.lines
            ],
        )
