"""Flows in the store: their versions and schedules."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, delete, func, insert, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import (
    FlowSummary,
    FlowVersion,
    StateKind,
)
from loopline.records.identity import Thing
from loopline.rules.labels import check_labels
from loopline.rules.parameters import read_values
from loopline.rules.timetable import check_schedule, next_times
from loopline.store import schema
from loopline.store.automations import set_flow_triggers
from loopline.store.callers import only_visible
from loopline.store.flow_rows import (
    VersionDocument,
    flow_run_record,
    newest_version,
    version_record,
)
from loopline.store.inserted import inserted_id
from loopline.store.projects import check_name, ensure_project

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.schedules import ScheduleSpec
    from loopline.store.database import Store

__all__ = ["get_flow", "list_flows", "register_flow", "set_schedule_active"]

_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run

#: Newest flow runs shown with a flow in a list.
RECENT = 20
#: What may happen to a flow run whose worker died.
RESUMES = ("continue", "restart", "no")


def _checked_schedule(call: ops.RegisterFlow) -> ScheduleSpec | None:
    """Refuse a schedule whose runs would lack a value or get a wrong one, now and not at night."""
    if call.schedule is None:
        return None
    check_schedule(call.schedule)
    required = [each.name for each in call.graph.parameters if each.required]
    clocks = []
    for clock in call.schedule.clocks:
        if missing := [name for name in required if name not in clock.parameters]:
            values = ", ".join(f'"{name}": ...' for name in missing)
            msg = (
                f"The flow {call.name!r} has a schedule that gives no value for: "
                f"{', '.join(missing)}. Give the parameter a default, or the schedule's clock "
                f"parameter_defaults={{{values}}}."
            )
            raise InvalidInputError(msg)
        try:
            read = read_values(call.name, call.graph.parameters, clock.parameters)
        except (InvalidInputError, NotFoundError) as error:
            msg = f"The parameter_defaults of a clock of the schedule of {call.name!r}: {error}"
            raise InvalidInputError(msg) from None
        clocks.append(msgspec.structs.replace(clock, parameters=read))
    return msgspec.structs.replace(call.schedule, clocks=clocks)


def register_flow(store: Store, connection: Connection, call: ops.RegisterFlow) -> FlowVersion:
    """Store a version of a flow; an unchanged fingerprint answers the version there is."""
    check_name("project", call.project)
    check_name("flow", call.name)
    schedule = _checked_schedule(call)
    labels = check_labels(call.labels)
    if call.resume not in RESUMES:
        msg = f"resume is one of {', '.join(RESUMES)}, and not {call.resume[:50]!r}."
        raise InvalidInputError(msg)
    now_ms = store.clock()
    flow = connection.execute(
        select(_flow).where(_flow.c.project == call.project, _flow.c.name == call.name)
    ).first()
    if flow is None:
        ensure_project(connection, call.project, now_ms)
        made = connection.execute(
            insert(_flow).values(
                project=call.project,
                name=call.name,
                created_ms=now_ms,
                schedule_active=call.schedule_active,
            )
        )
        flow_id, latest = inserted_id(made), 0
    else:
        flow_id, latest = flow.id, flow.latest_version
    set_flow_triggers(store, connection, flow_id, call.project, call.name, call.triggers)
    known = connection.execute(
        select(_version.c.flow_version_id, _version.c.version).where(
            _version.c.flow_id == flow_id, _version.c.fingerprint == call.fingerprint
        )
    ).first()
    if known is not None and known.version == latest:
        return version_record(connection, known.flow_version_id)
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
        document = VersionDocument(
            graph=call.graph,
            code=call.code,
            schedule=schedule,
            environment=call.environment,
            labels=labels,
            resume=call.resume,
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
        .values(latest_version=latest + 1, materialised_ms=now_ms, looked_ms=now_ms)
    )
    return msgspec.structs.replace(version_record(connection, version_id), is_new=True)


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
        select(_flow.c.id, _version.c.flow_version_id, _flow.c.most_runs)
        .join(
            _version,
            and_(_version.c.flow_id == _flow.c.id, _version.c.version == _flow.c.latest_version),
        )
        .order_by(_flow.c.project, _flow.c.name)
    )
    query = query.where(*only_visible(connection, Thing.PROJECT, _flow.c.project))
    if call.project:
        query = query.where(_flow.c.project == call.project)
    summaries = []
    for flow_id, version_id, most_runs in connection.execute(query).all():
        version = version_record(connection, version_id)
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
                labels=version.labels,
                most_runs=most_runs,
                recent=[flow_run_record(row) for row in recent],
                next_ms=_next_ms(connection, flow_id, version, store.clock()),
            )
        )
    return summaries


def _next_ms(connection: Connection, flow_id: int, version: FlowVersion, now_ms: int) -> int | None:
    """Find the next due time; what is due and waits counts only when nothing else comes."""
    waiting = select(func.min(_run.c.scheduled_ms)).where(
        _run.c.flow_id == flow_id, _run.c.state == StateKind.SCHEDULED
    )
    due: int | None = connection.execute(
        waiting.where(_run.c.scheduled_ms > now_ms)
    ).scalar_one_or_none()
    schedule = version.schedule
    # Of a schedule with its user's code the times are those that a worker has made runs of.
    if due is None and schedule and version.schedule_active and not schedule.own_code:
        times = next_times(schedule, datetime.fromtimestamp(now_ms / 1000, UTC), 1)
        due = _ms(times[0].at) if times else None
    return connection.execute(waiting).scalar_one_or_none() if due is None else due


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def get_flow(_store: Store, connection: Connection, call: ops.GetFlow) -> FlowVersion:
    """Get a flow version by its id, or the newest one by project and name."""
    if call.flow_version_id:
        return version_record(connection, call.flow_version_id)
    return version_record(connection, newest_version(connection, call.project, call.name)[1])


def set_schedule_active(
    store: Store, connection: Connection, call: ops.SetScheduleActive
) -> FlowVersion:
    """Switch a flow's schedule on or off."""
    flow_id, version_id = newest_version(connection, call.project, call.name)
    now_ms = store.clock()
    forget_due_runs(connection, flow_id)
    connection.execute(
        update(_flow)
        .where(_flow.c.id == flow_id)
        .values(schedule_active=call.active, materialised_ms=now_ms, looked_ms=now_ms)
    )
    return version_record(connection, version_id)
