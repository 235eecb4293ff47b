"""Flow runs in the store: made by people and schedules, and read back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, or_, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import (
    FlowGraph,
    FlowRun,
    FlowRunEvent,
    FlowRunPage,
    FlowVersion,
    LogLine,
    ScheduleSpec,
    StateKind,
    TaskRun,
)
from loopline.records.identity import Thing
from loopline.rules.timetable import ScheduledTime, next_times
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.flow_facts import add_flow_run_event
from loopline.store.flow_rows import flow_run_record, flow_run_row, newest_version, version_record
from loopline.store.upserts import InsertOrIgnore

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "create_flow_run",
    "get_flow_run",
    "get_flow_run_graph",
    "get_logs",
    "list_flow_run_events",
    "list_flow_runs",
    "list_task_runs",
    "materialise_schedules",
    "task_runs_of",
]

_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run
#: How far back a due time that passed unseen is still made up for.
LOOK_BACK_MS = 24 * 3600 * 1000
PAGE = 1000


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _missed(schedule: ScheduleSpec, materialised_ms: int, now_ms: int) -> list[ScheduledTime]:
    """Find the newest due time that passed unseen, if there is one."""
    after = _at(max(materialised_ms, now_ms - LOOK_BACK_MS))
    newest: list[ScheduledTime] = []
    while times := next_times(schedule, after, PAGE):
        passed = [time for time in times if _ms(time.at) <= now_ms]
        newest = passed[-1:] or newest
        if len(passed) < PAGE:
            break
        after = passed[-1].at
    return newest


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
    _check_parameters(version, call.parameters)
    flow_run_id = _insert_run(
        connection,
        store.clock(),
        flow_id=flow_id,
        version=version,
        parameters=call.parameters,
        scheduled_ms=call.scheduled_ms or store.clock(),
        name=call.run_name,
    )
    return flow_run_record(flow_run_row(connection, flow_run_id))


def _check_parameters(version: FlowVersion, given: dict[str, Any]) -> None:
    known = {parameter.name for parameter in version.graph.parameters}
    for name in given:
        if name not in known:
            raise NotFoundError.among(
                f"parameter of flow {version.name!r}",
                name,
                known,
                hint=f"It has: {', '.join(sorted(known)) or 'none'}.",
            )
    missing = [
        parameter.name
        for parameter in version.graph.parameters
        if parameter.required and parameter.name not in given
    ]
    if missing:
        msg = f"Flow {version.name!r} needs a value for: {', '.join(missing)}."
        raise InvalidInputError(msg)


def _insert_run(
    connection: Connection,
    now_ms: int,
    *,
    flow_id: int,
    version: FlowVersion,
    parameters: dict[str, Any],
    scheduled_ms: int,
    name: str = "",
    is_automatic: bool = False,
) -> str:
    """Insert a flow run and return its id; empty when its due time has an automatic run already."""
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
            is_automatic=is_automatic,
            due_key=scheduled_ms if is_automatic else None,
        )
    )
    if not done.rowcount:
        return ""
    add_flow_run_event(connection, flow_run_id, now_ms, StateKind.SCHEDULED)
    return flow_run_id


def materialise_schedules(
    store: Store, connection: Connection, call: ops.MaterialiseSchedules
) -> int:
    """Make the flow runs due within ``ahead_s`` seconds; answer how many are new.

    Of the due times that passed while nothing was materialising only the newest is made up for:
    a fare model is not retrained forty times on the morning after a long weekend, but once.
    """
    if call.most_per_flow < 1 or call.ahead_s < 0:
        msg = "most_per_flow must be 1 or more, and ahead_s 0 or more."
        raise InvalidInputError(msg)
    now_ms = store.clock()
    until_ms = now_ms + int(call.ahead_s * 1000)
    flows = connection.execute(
        select(_flow.c.id, _flow.c.materialised_ms, _version.c.flow_version_id)
        .join(
            _version,
            and_(_version.c.flow_id == _flow.c.id, _version.c.version == _flow.c.latest_version),
        )
        .where(_flow.c.schedule_active.is_(True), _flow.c.materialised_ms < until_ms)
    ).all()
    made = 0
    for flow_id, materialised_ms, version_id in flows:
        version = version_record(connection, version_id)
        if version.schedule is None:
            continue
        times = [
            *_missed(version.schedule, materialised_ms, now_ms),
            *next_times(version.schedule, _at(max(materialised_ms, now_ms)), call.most_per_flow),
        ]
        due = [time for time in times if _ms(time.at) <= until_ms]
        for time in due:
            made += bool(
                _insert_run(
                    connection,
                    now_ms,
                    flow_id=flow_id,
                    version=version,
                    parameters=time.parameters,
                    scheduled_ms=_ms(time.at),
                    is_automatic=True,
                )
            )
        reached_ms = _ms(due[-1].at) if len(due) >= call.most_per_flow else until_ms
        connection.execute(
            update(_flow).where(_flow.c.id == flow_id).values(materialised_ms=reached_ms)
        )
    return made


def list_flow_runs(_store: Store, connection: Connection, call: ops.ListFlowRuns) -> FlowRunPage:
    """List flow runs, newest due time first, a page at a time."""
    if not 0 < call.max_results <= 10_000:  # noqa: PLR2004
        msg = "max_results must lie between 1 and 10,000."
        raise InvalidInputError(msg)
    query = select(_run).order_by(_run.c.scheduled_ms.desc(), _run.c.flow_run_id)
    query = query.where(*only_visible(connection, Thing.PROJECT, _run.c.project))
    if call.project:
        of = [call.project, ""] if call.with_unregistered else [call.project]
        query = query.where(_run.c.project.in_(of))
    if call.flow_name:
        query = query.where(_run.c.flow_name == call.flow_name)
    if call.states:
        query = query.where(_run.c.state.in_(call.states))
    if call.page_token:
        text, _, flow_run_id = call.page_token.partition(":")
        if not text.isdecimal() or not flow_run_id:
            msg = "Invalid page token. Ask for the first page again."
            raise InvalidInputError(msg)
        query = query.where(
            or_(
                _run.c.scheduled_ms < int(text),
                and_(_run.c.scheduled_ms == int(text), _run.c.flow_run_id > flow_run_id),
            )
        )
    rows = connection.execute(query.limit(call.max_results + 1)).all()
    shown = rows[: call.max_results]
    token = ""
    if len(rows) > len(shown):
        token = f"{shown[-1].scheduled_ms}:{shown[-1].flow_run_id}"
    return FlowRunPage(flow_runs=[flow_run_record(row) for row in shown], next_page_token=token)


def get_flow_run(_store: Store, connection: Connection, call: ops.GetFlowRun) -> FlowRun:
    """Get a flow run."""
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


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
        )
        for row in rows
    ]


def list_flow_run_events(
    _store: Store, connection: Connection, call: ops.ListFlowRunEvents
) -> list[FlowRunEvent]:
    """List every change of state of a flow run and its tasks, oldest first."""
    table = schema.flow_run_event
    flow_run_row(connection, call.flow_run_id)
    rows = connection.execute(
        select(table).where(table.c.flow_run_id == call.flow_run_id).order_by(table.c.id)
    )
    return [
        FlowRunEvent(
            at_ms=row.at_ms,
            state=StateKind(row.state),
            message=row.message,
            task_slug=row.task_slug,
            map_index=row.map_index,
            attempt=row.attempt,
            actor=row.actor,
        )
        for row in rows
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
            at_ms=row.at_ms,
            level=row.level,
            message=row.message,
            position=row.id,
        )
        for row in (reversed(rows) if call.newest else rows)
    ]
