"""Flow runs in the store: made by people and schedules, and read back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from loopline.errors import InvalidInputError
from loopline.records.flows import (
    FlowGraph,
    FlowRun,
    FlowRunEvent,
    FlowVersion,
    LogLine,
    StateKind,
    TaskRun,
)
from loopline.rules.labels import check_labels
from loopline.rules.parameters import read_values
from loopline.store import schema
from loopline.store.flow_facts import add_flow_run_event
from loopline.store.flow_origins import BY_SOMEBODY, Started, asked_for
from loopline.store.flow_rows import flow_run_record, flow_run_row, newest_version, version_record
from loopline.store.upserts import InsertOrIgnore

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "check_parameters",
    "check_priority",
    "create_flow_run",
    "get_flow_run_graph",
    "get_logs",
    "insert_run",
    "list_flow_run_events",
    "list_task_runs",
    "task_runs_of",
]

_version = schema.flow_version
_run = schema.flow_run
MOST_PRIORITY = 1000


def create_flow_run(store: Store, connection: Connection, call: ops.CreateFlowRun) -> FlowRun:
    """Ask for a run of a registered flow, now or at ``scheduled_ms``."""
    if call.flow_version_id:
        version = version_record(connection, call.flow_version_id)
        flow_id = connection.execute(
            select(_version.c.flow_id).where(_version.c.flow_version_id == call.flow_version_id)
        ).scalar_one()
    else:
        flow_id, version_id = newest_version(connection, call.project, call.name)
        version = version_record(connection, version_id)
    if call.run_key:
        known = connection.execute(
            select(_run).where(_run.c.flow_id == flow_id, _run.c.run_key == call.run_key)
        ).first()
        if known is not None:
            return flow_run_record(known)
    parameters = check_parameters(version, call.parameters)
    flow_run_id = insert_run(
        connection,
        store.clock(),
        flow_id=flow_id,
        version=version,
        parameters=parameters,
        scheduled_ms=call.scheduled_ms or store.clock(),
        name=call.run_name,
        labels=call.labels,
        priority=check_priority(call.priority),
        note=call.note,
        run_key=call.run_key,
        started=asked_for(connection, parent=call.parent, actor=call.actor),
    )
    return flow_run_record(flow_run_row(connection, flow_run_id))


def check_priority(priority: int) -> int:
    """Return a priority that can be.

    Raises:
        InvalidInputError: It is too great or too small.
    """
    if not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
        msg = f"A priority lies between {-MOST_PRIORITY:,} and {MOST_PRIORITY:,}, not {priority}."
        raise InvalidInputError(msg)
    return priority


def check_parameters(version: FlowVersion, given: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a run gets when it is given these, each as its type has it.

    Raises:
        NotFoundError: The flow has no such parameter.
        InvalidInputError: One is missing, or does not fit.
    """
    return read_values(version.name, version.graph.parameters, given)


def insert_run(  # noqa: PLR0913 - a flow run has these
    connection: Connection,
    now_ms: int,
    *,
    flow_id: int,
    version: FlowVersion,
    parameters: dict[str, Any],
    scheduled_ms: int,
    name: str = "",
    due_key: str | None = None,
    labels: list[str] | None = None,
    priority: int = 0,
    note: str = "",
    run_key: str = "",
    started: Started = BY_SOMEBODY,
) -> str:
    """Insert a flow run and return its id; empty when its due key has one already."""
    flow_run_id = uuid.uuid4().hex
    done = connection.execute(
        InsertOrIgnore(_run).values(
            flow_run_id=flow_run_id,
            flow_id=flow_id,
            flow_version_id=version.flow_version_id,
            project=version.project,
            flow_name=version.name,
            name=name,
            parameters=msgspec.json.encode(parameters).decode(),
            state=StateKind.SCHEDULED,
            scheduled_ms=scheduled_ms,
            created_ms=now_ms,
            is_automatic=due_key is not None,
            due_key=due_key,
            labels=msgspec.json.encode(
                version.labels if labels is None else check_labels(labels)
            ).decode(),
            priority=priority,
            note=note,
            resume=version.resume,
            run_key=run_key or None,
            **started._asdict(),
        )
    )
    if not done.rowcount:
        return ""
    add_flow_run_event(connection, flow_run_id, now_ms, StateKind.SCHEDULED)
    return flow_run_id


def get_flow_run_graph(
    _store: Store, connection: Connection, call: ops.GetFlowRunGraph
) -> FlowGraph:
    """Get the graph a flow run follows."""
    row = flow_run_row(connection, call.flow_run_id)
    if row.flow_version_id:
        return version_record(connection, row.flow_version_id).graph
    return msgspec.json.decode(row.graph, type=FlowGraph) if row.graph else FlowGraph()


def list_task_runs(_store: Store, connection: Connection, call: ops.ListTaskRuns) -> list[TaskRun]:
    """List the task runs of a flow run in the order they first changed state."""
    flow_run_row(connection, call.flow_run_id)
    return task_runs_of(connection, call.flow_run_id)


def task_runs_of(connection: Connection, flow_run_id: str) -> list[TaskRun]:
    """List task runs, without asking whether the flow run exists."""
    table = schema.task_run
    rows = connection.execute(
        select(table).where(table.c.flow_run_id == flow_run_id).order_by(table.c.seen)
    )
    return [
        TaskRun(
            flow_run_id=row.flow_run_id,
            task_slug=row.task_slug,
            map_index=row.map_index,
            state=StateKind(row.state),
            message=row.message,
            attempt=row.attempt,
            start_ms=row.start_ms,
            end_ms=row.end_ms,
            result=row.result,
            name=row.name,
            until_ms=row.until_ms,
        )
        for row in rows
    ]


def list_flow_run_events(
    _store: Store, connection: Connection, call: ops.ListFlowRunEvents
) -> list[FlowRunEvent]:
    """List changes of state of a flow run and its tasks after a position, oldest first."""
    table = schema.flow_run_event
    if call.limit < 0 or call.after < 0:
        msg = "after and limit are 0 or more."
        raise InvalidInputError(msg)
    flow_run_row(connection, call.flow_run_id)
    query = (
        select(table)
        .where(table.c.flow_run_id == call.flow_run_id, table.c.id > call.after)
        .order_by(table.c.id.desc() if call.newest else table.c.id)
    )
    rows = connection.execute(query.limit(call.limit) if call.limit else query).all()
    return [
        FlowRunEvent(
            at_ms=row.at_ms,
            state=StateKind(row.state),
            message=row.message,
            task_slug=row.task_slug,
            map_index=row.map_index,
            attempt=row.attempt,
            actor=row.actor,
            position=row.id,
        )
        for row in (reversed(rows) if call.newest else rows)
    ]


def get_logs(_store: Store, connection: Connection, call: ops.GetLogs) -> list[LogLine]:
    """Get log lines of a flow run after a position, oldest first."""
    table = schema.log_line
    if not 0 < call.limit <= 100_000:  # noqa: PLR2004
        msg = "limit must lie between 1 and 100,000."
        raise InvalidInputError(msg)
    rows = connection.execute(
        select(table)
        .where(
            table.c.flow_run_id == call.flow_run_id,
            table.c.id > call.after,
            table.c.level >= call.least_level,
        )
        .order_by(table.c.id.desc() if call.newest else table.c.id)
        .limit(call.limit)
    ).all()
    return [
        LogLine(
            flow_run_id=row.flow_run_id,
            task_slug=row.task_slug,
            map_index=row.map_index,
            at_ms=row.at_ms,
            level=row.level,
            message=row.message,
            position=row.id,
        )
        for row in (reversed(rows) if call.newest else rows)
    ]
