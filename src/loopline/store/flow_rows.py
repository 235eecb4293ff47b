"""Rows of flows and flow runs as records, for the modules that read and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import (
    FlowCode,
    FlowGraph,
    FlowRun,
    FlowVersion,
    Origin,
    ScheduleSpec,
    StateKind,
)
from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.callers import only_visible

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

__all__ = [
    "VersionDocument",
    "flow_run_record",
    "flow_run_row",
    "newest_version",
    "version_record",
]

_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run


class VersionDocument(msgspec.Struct):
    """What a flow version keeps and nothing searches."""

    graph: FlowGraph
    code: FlowCode
    schedule: ScheduleSpec | None = None
    environment: dict[str, str] = {}
    labels: list[str] = []
    resume: str = "continue"


def newest_version(connection: Connection, project: str, name: str) -> tuple[int, str]:
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
        seen = only_visible(connection, Thing.PROJECT, _flow.c.project)
        known = connection.execute(select(_flow.c.name).where(*seen).limit(1000)).scalars()
        raise NotFoundError.among("flow", name, known, hint="List them with `loopline flows list`.")
    return rows[0].id, rows[0].flow_version_id


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
        pause_requested=bool(row.pause_requested),
        labels=msgspec.json.decode(row.labels, type=list[str]),
        priority=row.priority,
        note=row.note,
        resume=row.resume,
        is_late=row.late_ms is not None and row.state == StateKind.SCHEDULED,
        origin=Origin(row.origin),
        started_by=row.started_by,
    )


def version_record(connection: Connection, flow_version_id: str) -> FlowVersion:
    """Get a flow version by its id.

    Raises:
        NotFoundError: No flow version has this id.
    """
    row = connection.execute(
        select(_version, _flow.c.project, _flow.c.name, _flow.c.schedule_active)
        .join(_flow, _flow.c.id == _version.c.flow_id)
        .where(_version.c.flow_version_id == flow_version_id)
    ).first()
    if row is None:
        msg = f"No flow version {flow_version_id!r}. List flows with `loopline flows list`."
        raise NotFoundError(msg)
    document = msgspec.json.decode(row.document, type=VersionDocument)
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
        labels=document.labels,
        resume=document.resume,
        created_ms=row.created_ms,
    )
