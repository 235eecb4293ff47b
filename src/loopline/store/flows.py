"""Flows in the store: versions, and flow runs as people ask for them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import (
    FlowCode,
    FlowGraph,
    FlowRun,
    FlowRunEvent,
    FlowRunPage,
    FlowSummary,
    FlowVersion,
    LogLine,
    ScheduleSpec,
    StateKind,
    TaskRun,
)
from loopline.rules.timetable import check_schedule, next_times
from loopline.store import schema
from loopline.store.flow_facts import add_flow_run_event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "create_flow_run",
    "get_flow",
    "get_flow_run",
    "get_flow_run_graph",
    "get_logs",
    "list_flow_run_events",
    "list_flow_runs",
    "list_flows",
    "list_task_runs",
    "materialise_schedules",
    "register_flow",
    "set_schedule_active",
]

_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run

#: Newest flow runs shown with a flow in a list.
RECENT = 20


class _Document(msgspec.Struct):
    """What a flow version keeps and nothing searches."""

    graph: FlowGraph
    code: FlowCode
    schedule: ScheduleSpec | None = None
    environment: dict[str, str] = {}


def register_flow(store: Store, connection: Connection, call: ops.RegisterFlow) -> FlowVersion:
    """Store a version of a flow; an unchanged fingerprint answers the version there is."""
    for what, text in (("project", call.project), ("flow", call.name)):
        if not text.strip() or len(text) > 500:  # noqa: PLR2004 - as for experiments
            msg = f"A {what} needs a name of 1 to 500 characters."
            raise InvalidInputError(msg)
    if call.schedule is not None:
        check_schedule(call.schedule)
    now_ms = store.clock()
    flow = connection.execute(
        select(_flow).where(_flow.c.project == call.project, _flow.c.name == call.name)
    ).first()
    if flow is None:
        made = connection.execute(
            insert(_flow).values(
                project=call.project,
                name=call.name,
                created_ms=now_ms,
                schedule_active=call.schedule_active,
            )
        )
        flow_id, latest = int(made.inserted_primary_key[0]), 0
    else:
        flow_id, latest = flow.id, flow.latest_version
    known = connection.execute(
        select(_version.c.flow_version_id, _version.c.version).where(
            _version.c.flow_id == flow_id, _version.c.fingerprint == call.fingerprint
        )
    ).first()
    if known is not None and known.version == latest:
        return _version_record(connection, known.flow_version_id)
    if known is not None:
        # Going back to an older version makes it the newest again under a number of its own.
        connection.execute(
            update(_version)
            .where(_version.c.flow_version_id == known.flow_version_id)
            .values(version=latest + 1)
        )
        version_id = known.flow_version_id
    else:
        version_id = uuid.uuid4().hex
        document = _Document(
            graph=call.graph,
            code=call.code,
            schedule=call.schedule,
            environment=call.environment,
        )
        connection.execute(
            insert(_version).values(
                flow_version_id=version_id,
                flow_id=flow_id,
                version=latest + 1,
                fingerprint=call.fingerprint,
                created_ms=now_ms,
                document=msgspec.json.encode(document).decode(),
            )
        )
    # Runs made ahead for the version before are made again for this one.
    forget_due_runs(connection, flow_id)
    connection.execute(
        update(_flow)
        .where(_flow.c.id == flow_id)
        .values(latest_version=latest + 1, materialised_ms=now_ms)
    )
    return msgspec.structs.replace(_version_record(connection, version_id), is_new=True)


def forget_due_runs(connection: Connection, flow_id: int) -> None:
    """Take back automatic runs of a flow that nobody has begun."""
    connection.execute(
        delete(_run).where(
            _run.c.flow_id == flow_id,
            _run.c.is_automatic.is_(True),
            _run.c.state == StateKind.SCHEDULED,
            _run.c.token == 0,
        )
    )


def list_flows(store: Store, connection: Connection, call: ops.ListFlows) -> list[FlowSummary]:
    """List flows with their newest version, by project and name."""
    query = (
        select(_flow.c.id, _version.c.flow_version_id)
        .join(
            _version,
            and_(_version.c.flow_id == _flow.c.id, _version.c.version == _flow.c.latest_version),
        )
        .order_by(_flow.c.project, _flow.c.name)
    )
    if call.project:
        query = query.where(_flow.c.project == call.project)
    summaries = []
    for flow_id, version_id in connection.execute(query).all():
        version = _version_record(connection, version_id)
        recent = connection.execute(
            select(_run)
            .where(_run.c.flow_id == flow_id, _run.c.state != StateKind.SCHEDULED)
            .order_by(_run.c.scheduled_ms.desc())
            .limit(RECENT)
        ).all()
        summaries.append(
            FlowSummary(
                project=version.project,
                name=version.name,
                version=version.version,
                flow_version_id=version_id,
                schedule=version.schedule,
                schedule_active=version.schedule_active,
                created_ms=version.created_ms,
                recent=[flow_run_record(row) for row in recent],
                next_ms=_next_ms(connection, flow_id, version, store.clock()),
            )
        )
    return summaries


def _next_ms(
    connection: Connection, flow_id: int, version: FlowVersion, now_ms: int
) -> int | None:
    due = connection.execute(
        select(func.min(_run.c.scheduled_ms)).where(
            _run.c.flow_id == flow_id, _run.c.state == StateKind.SCHEDULED
        )
    ).scalar_one_or_none()
    if due is not None or version.schedule is None or not version.schedule_active:
        return due
    times = next_times(version.schedule, datetime.fromtimestamp(now_ms / 1000, UTC), 1)
    return _ms(times[0].at) if times else None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def get_flow(_store: Store, connection: Connection, call: ops.GetFlow) -> FlowVersion:
    """Get a flow version by its id, or the newest one by project and name."""
    if call.flow_version_id:
        return _version_record(connection, call.flow_version_id)
    return _version_record(connection, _newest(connection, call.project, call.name)[1])


def _newest(connection: Connection, project: str, name: str) -> tuple[int, str]:
    """Find a flow's number and its newest version; an empty project stands for any."""
    query = select(_flow.c.id, _version.c.flow_version_id).join(
        _version,
        and_(_version.c.flow_id == _flow.c.id, _version.c.version == _flow.c.latest_version),
    )
    query = query.where(_flow.c.name == name)
    if project:
        query = query.where(_flow.c.project == project)
    rows = connection.execute(query).all()
    if len(rows) > 1:
        msg = f"Several projects have a flow {name!r}. Say which with its project."
        raise InvalidInputError(msg)
    if not rows:
        known = connection.execute(select(_flow.c.name).limit(1000)).scalars()
        raise NotFoundError.among(
            "flow", name, known, hint="List them with `loopline flows list`."
        )
    return rows[0].id, rows[0].flow_version_id


def set_schedule_active(
    store: Store, connection: Connection, call: ops.SetScheduleActive
) -> FlowVersion:
    """Switch a flow's schedule on or off."""
    flow_id, version_id = _newest(connection, call.project, call.name)
    forget_due_runs(connection, flow_id)
    connection.execute(
        update(_flow)
        .where(_flow.c.id == flow_id)
        .values(schedule_active=call.active, materialised_ms=store.clock())
    )
    return _version_record(connection, version_id)


def create_flow_run(store: Store, connection: Connection, call: ops.CreateFlowRun) -> FlowRun:
    """Ask for a run of a registered flow, now or at ``scheduled_ms``."""
    if call.flow_version_id:
        version = _version_record(connection, call.flow_version_id)
        flow_id = connection.execute(
            select(_version.c.flow_id).where(_version.c.flow_version_id == call.flow_version_id)
        ).scalar_one()
    else:
        flow_id, version_id = _newest(connection, call.project, call.name)
        version = _version_record(connection, version_id)
    _check_parameters(version, call.parameters)
    return _insert_run(
        connection,
        store.clock(),
        flow_id=flow_id,
        version=version,
        parameters=call.parameters,
        scheduled_ms=call.scheduled_ms or store.clock(),
        name=call.run_name,
    )


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


def _insert_run(  # noqa: PLR0913 - the columns of a flow run
    connection: Connection,
    now_ms: int,
    *,
    flow_id: int,
    version: FlowVersion,
    parameters: dict[str, Any],
    scheduled_ms: int,
    name: str = "",
    is_automatic: bool = False,
) -> FlowRun:
    flow_run_id = uuid.uuid4().hex
    connection.execute(
        insert(_run).values(
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
        )
    )
    add_flow_run_event(connection, flow_run_id, now_ms, StateKind.SCHEDULED)
    return flow_run_record(flow_run_row(connection, flow_run_id))


def materialise_schedules(
    store: Store, connection: Connection, call: ops.MaterialiseSchedules
) -> int:
    """Make the flow runs due within ``ahead_s`` seconds; answer how many are new.

    Due times that passed while nothing was materialising are left out: a fare model is not
    retrained forty times on the morning after a long weekend.
    """
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
        version = _version_record(connection, version_id)
        if version.schedule is None:
            continue
        after_ms = max(materialised_ms, now_ms - 1)
        after = datetime.fromtimestamp(after_ms / 1000, UTC)
        times = next_times(version.schedule, after, call.most_per_flow)
        due = [time for time in times if _ms(time.at) <= until_ms]
        for time in due:
            _insert_run(
                connection,
                now_ms,
                flow_id=flow_id,
                version=version,
                parameters=time.parameters,
                scheduled_ms=_ms(time.at),
                is_automatic=True,
            )
        made += len(due)
        reached_ms = _ms(due[-1].at) if len(due) == call.most_per_flow else until_ms
        connection.execute(
            update(_flow).where(_flow.c.id == flow_id).values(materialised_ms=reached_ms)
        )
    return made


def list_flow_runs(
    _store: Store, connection: Connection, call: ops.ListFlowRuns
) -> FlowRunPage:
    """List flow runs, newest due time first, a page at a time."""
    if not 0 < call.max_results <= 10_000:  # noqa: PLR2004
        msg = "max_results must lie between 1 and 10,000."
        raise InvalidInputError(msg)
    query = select(_run).order_by(_run.c.scheduled_ms.desc(), _run.c.flow_run_id)
    if call.project:
        query = query.where(_run.c.project == call.project)
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
        return _version_record(connection, row.flow_version_id).graph
    return msgspec.json.decode(row.graph, type=FlowGraph) if row.graph else FlowGraph()


def list_task_runs(
    _store: Store, connection: Connection, call: ops.ListTaskRuns
) -> list[TaskRun]:
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


def flow_run_row(connection: Connection, flow_run_id: str) -> Row[Any]:
    """Get a flow run's row.

    Raises:
        NotFoundError: No flow run has this id.
    """
    row = connection.execute(select(_run).where(_run.c.flow_run_id == flow_run_id)).first()
    if row is None:
        msg = f"No flow run {flow_run_id!r}. List them with `loopline flow-runs list`."
        raise NotFoundError(msg)
    return row


def flow_run_record(row: Row[Any]) -> FlowRun:
    """Turn a row into a record."""
    return FlowRun(
        flow_run_id=row.flow_run_id,
        name=row.name,
        project=row.project,
        flow_name=row.flow_name,
        flow_version_id=row.flow_version_id,
        parameters=msgspec.json.decode(row.parameters),
        state=StateKind(row.state),
        message=row.message,
        scheduled_ms=row.scheduled_ms,
        created_ms=row.created_ms,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        is_automatic=bool(row.is_automatic),
        token=row.token,
        worker=row.worker,
        lease_until_ms=row.lease_until_ms,
        cancel_requested=bool(row.cancel_requested),
    )


def version_of(connection: Connection, flow_version_id: str) -> FlowVersion:
    """Get a flow version by its id."""
    return _version_record(connection, flow_version_id)


def _version_record(connection: Connection, flow_version_id: str) -> FlowVersion:
    row = connection.execute(
        select(_version, _flow.c.project, _flow.c.name, _flow.c.schedule_active)
        .join(_flow, _flow.c.id == _version.c.flow_id)
        .where(_version.c.flow_version_id == flow_version_id)
    ).first()
    if row is None:
        msg = f"No flow version {flow_version_id!r}. List flows with `loopline flows list`."
        raise NotFoundError(msg)
    document = msgspec.json.decode(row.document, type=_Document)
    return FlowVersion(
        flow_version_id=row.flow_version_id,
        project=row.project,
        name=row.name,
        version=row.version,
        fingerprint=row.fingerprint,
        graph=document.graph,
        schedule=document.schedule,
        schedule_active=bool(row.schedule_active),
        code=document.code,
        environment=document.environment,
        created_ms=row.created_ms,
    )
