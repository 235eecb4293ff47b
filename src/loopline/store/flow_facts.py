"""Facts of flow runs: states checked against the fencing token, task states, logs.

The facts of a batch are gathered and written together: a flow of a thousand tasks makes a few
statements, not thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select, update

from loopline.errors import ConflictError
from loopline.records.flows import StateKind
from loopline.store import schema
from loopline.store.flow_artifacts import put_flow_artifact
from loopline.store.flow_origins import asked_for
from loopline.store.flow_run_authors import note_author
from loopline.store.many_rows import ManyRows
from loopline.store.task_rows import TaskRows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Table

    from loopline.records import facts as f

__all__ = [
    "CLOSER",
    "FlowFacts",
    "add_flow_run_event",
    "check_token",
    "close_lost_flow_runs",
    "revive_flow_runs",
]

_flow_run = schema.flow_run
_task_run = schema.task_run

_event = schema.flow_run_event
#: States of a task that somebody is working on, or was about to try again.
_IN_HAND = (StateKind.RUNNING, StateKind.SUBMITTED, StateKind.RETRYING)
#: Who closes what was lost, in the history.
CLOSER = "loopline"


def _columns_but_id(table: Table) -> list[str]:
    return [name for name in table.c.keys() if name != "id"]  # noqa: SIM118 - it is no dict


#: A flow run by its id. Primary key look-up.
FLOW_RUN = select(_flow_run).where(_flow_run.c.flow_run_id == bindparam("id"))
ADD_EVENT = ManyRows(insert(_event), _columns_but_id(_event))
ADD_LINE = ManyRows(insert(schema.log_line), _columns_but_id(schema.log_line))


class FlowFacts:
    """The flow facts of one batch; ``write`` stores what was taken."""

    def __init__(self, connection: Connection, writer: str, now_ms: int) -> None:
        self._connection = connection
        self._writer = writer
        self._now_ms = now_ms
        self._holders: dict[str, tuple[int, str] | None] = {}
        self._tasks = TaskRows(connection)
        self._events: list[dict[str, Any]] = []
        self._lines: list[dict[str, Any]] = []

    def set_flow_run_state(self, fact: f.FlowRunState) -> None:
        """Move a flow run to a state; the first state of an unknown id makes the flow run.

        Raises:
            ConflictError: Somebody else holds the flow run under a newer token.
        """
        row = self._connection.execute(FLOW_RUN, {"id": fact.flow_run_id}).first()
        is_running = fact.state is StateKind.RUNNING
        if row is None:
            self._connection.execute(
                insert(_flow_run).values(
                    flow_run_id=fact.flow_run_id,
                    flow_name=fact.flow_name or "flow",
                    name=fact.name,
                    parameters=msgspec.json.encode(fact.parameters).decode(),
                    graph=None if fact.graph is None else msgspec.json.encode(fact.graph).decode(),
                    state=fact.state,
                    message=fact.message,
                    scheduled_ms=fact.at_ms,
                    created_ms=self._now_ms,
                    start_ms=fact.at_ms if is_running else None,
                    end_ms=fact.at_ms if fact.state.is_finished else None,
                    token=fact.token,
                    writer="" if fact.token else self._writer,
                    **asked_for(self._connection, parent=fact.parent)._asdict(),
                )
            )
            note_author(self._connection, fact.flow_run_id)
            self._holders[fact.flow_run_id] = (fact.token, "")
        else:
            check_token(fact.flow_run_id, row.token, row.worker, fact.token)
            # Who says so is there, whatever was thought of its silence.
            changes: dict[str, Any] = {
                "state": fact.state, "message": fact.message, "lost_ms": None,
            }  # fmt: skip
            if is_running and row.start_ms is None:
                changes["start_ms"] = fact.at_ms
            if fact.state.is_finished:
                # A clock that jumped back must not make the run's duration negative.
                changes["end_ms"] = max(fact.at_ms, row.start_ms or fact.at_ms)
                changes["lease_until_ms"] = 0
            elif fact.state is StateKind.PAUSED:
                changes |= {"lease_until_ms": 0, "pause_requested": False}
            self._connection.execute(
                update(_flow_run)
                .where(_flow_run.c.flow_run_id == fact.flow_run_id)
                .values(**changes)
            )
        self._add_event(fact.flow_run_id, fact.at_ms, fact.state, fact.message)

    def set_task_run_state(self, fact: f.TaskRunState) -> None:
        """Move a task run to a state.

        Raises:
            ConflictError: Somebody else holds the flow run under a newer token.
        """
        holder = self._holder(fact.flow_run_id)
        if holder is not None and holder[0] != fact.token:
            check_token(fact.flow_run_id, *holder, fact.token)
        self._tasks.take(fact)
        self._add_event(
            fact.flow_run_id,
            fact.at_ms,
            fact.state,
            fact.message,
            task_slug=fact.task_slug,
            map_index=fact.map_index,
            attempt=fact.attempt,
        )

    def add_logs(self, fact: f.LogsWritten) -> None:
        """Append log lines."""
        self._lines += [
            {
                "flow_run_id": line.flow_run_id,
                "task_slug": line.task_slug,
                "map_index": line.map_index,
                "at_ms": line.at_ms,
                "level": line.level,
                "message": line.message.replace("\0", "\N{SYMBOL FOR NULL}"),
            }
            for line in fact.lines
        ]

    def set_artifact(self, fact: f.FlowArtifactSet) -> None:
        """Keep, change or delete an artifact.

        Raises:
            ConflictError: Somebody else holds the flow run under a newer token.
        """
        holder = self._holder(fact.flow_run_id)
        if holder is not None:
            check_token(fact.flow_run_id, *holder, fact.token)
        put_flow_artifact(self._connection, fact)

    def write(self) -> None:
        """Store what was taken since the last time."""
        self._tasks.write()
        ADD_EVENT.execute(self._connection, self._events)
        ADD_LINE.execute(self._connection, self._lines)
        self._events, self._lines = [], []

    def _holder(self, flow_run_id: str) -> tuple[int, str] | None:
        """Get token and worker of a flow run; None for one not known yet."""
        if flow_run_id not in self._holders:
            row = self._connection.execute(FLOW_RUN, {"id": flow_run_id}).first()
            self._holders[flow_run_id] = None if row is None else (row.token, row.worker)
        return self._holders[flow_run_id]

    def _add_event(
        self,
        flow_run_id: str,
        at_ms: int,
        state: StateKind,
        message: str,
        *,
        task_slug: str = "",
        map_index: int = -1,
        attempt: int = 0,
    ) -> None:
        self._events.append(
            {
                "flow_run_id": flow_run_id,
                "at_ms": at_ms,
                "state": state,
                "message": message,
                "task_slug": task_slug,
                "map_index": map_index,
                "attempt": attempt,
                "actor": "",
            }
        )


def close_lost_flow_runs(connection: Connection, reason: str, now_ms: int) -> None:
    """Fail the flow runs of ``flow.run()`` whose process is gone; leased ones are taken over."""
    gone = select(schema.writer.c.writer).where(schema.writer.c.is_gone.is_(True))
    # One that waits for somebody needs no process meanwhile.
    open_states = [
        state for state in StateKind if not state.is_finished and state is not StateKind.PAUSED
    ]
    rows = connection.execute(
        select(_flow_run.c.flow_run_id).where(
            _flow_run.c.writer.in_(gone), _flow_run.c.state.in_(open_states)
        )
    ).scalars()
    for flow_run_id in list(rows):
        _move_lost(
            connection,
            flow_run_id,
            _IN_HAND,
            StateKind.FAILED,
            now_ms,
            message=reason,
            end_ms=now_ms,
        )


def revive_flow_runs(connection: Connection, writer: str, now_ms: int) -> None:
    """Set flow runs back to Running that were closed as lost with a writer which now speaks."""
    closed = (
        select(_event.c.actor == CLOSER)
        .where(_event.c.flow_run_id == _flow_run.c.flow_run_id, _event.c.task_slug == "")
        .order_by(_event.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(_flow_run.c.flow_run_id, _flow_run.c.message).where(
            _flow_run.c.writer == writer, _flow_run.c.state == StateKind.FAILED, closed
        )
    ).all()
    for row in rows:
        _move_lost(
            connection,
            row.flow_run_id,
            (StateKind.FAILED,),
            StateKind.RUNNING,
            now_ms,
            message="its process is back",
            end_ms=None,
            closed_with=row.message,
        )


def _move_lost(
    connection: Connection,
    flow_run_id: str,
    tasks_in: Iterable[StateKind],
    state: StateKind,
    now_ms: int,
    *,
    message: str,
    end_ms: int | None,
    closed_with: str | None = None,
) -> None:
    """Move a flow run, and those of its task runs that somebody works on, or did."""
    changes = {"state": state, "message": message, "end_ms": end_ms}
    connection.execute(
        update(_flow_run).where(_flow_run.c.flow_run_id == flow_run_id).values(**changes)
    )
    add_flow_run_event(connection, flow_run_id, now_ms, state, message, actor=CLOSER)
    which = (_task_run.c.flow_run_id == flow_run_id) & _task_run.c.state.in_(list(tasks_in))
    if closed_with is not None:
        which &= _task_run.c.message == closed_with
    connection.execute(update(_task_run).where(which).values(**changes))


def check_token(flow_run_id: str, held: int, worker: str, token: int) -> None:
    """Refuse what comes from a holder that is no longer the newest one."""
    if token != held:
        msg = (
            f"The flow run {flow_run_id} went to {worker or 'another worker'} under "
            f"token {held}; a record under token {token} comes too late."
        )
        raise ConflictError(msg)


def add_flow_run_event(
    connection: Connection,
    flow_run_id: str,
    at_ms: int,
    state: StateKind,
    message: str = "",
    *,
    actor: str = "",
    task_slug: str = "",
    map_index: int = -1,
) -> None:
    """Append a change of state, of a task too, to a flow run's history."""
    connection.execute(
        insert(_event).values(
            flow_run_id=flow_run_id,
            at_ms=at_ms,
            state=state,
            message=message,
            actor=actor,
            task_slug=task_slug,
            map_index=map_index,
        )
    )
