"""Runs in the store: reading them, and closing those whose writers died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, exists, func, insert, select, update

from loopline.records.base import Lifecycle
from loopline.records.tracking import (
    Artifact,
    Dataset,
    RefusedFact,
    Run,
    RunEvent,
    RunInput,
    RunStatus,
)
from loopline.rules.folders import children
from loopline.rules.names import check_artifact_path
from loopline.store import schema
from loopline.store.artifact_paths import below
from loopline.store.documents import RUNS, decode, records_of
from loopline.store.find import no_run, run_row
from loopline.store.flow_facts import CLOSER, close_lost_flow_runs, revive_flow_runs
from loopline.store.lifecycle import set_lifecycle_of_run

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "artifacts_below",
    "close_lost_runs",
    "close_runs_of",
    "delete_run",
    "get_run",
    "heartbeat",
    "list_artifacts",
    "list_inputs",
    "list_refused",
    "list_run_events",
    "read_run",
    "restore_run",
]

_run = schema.run


def read_run(connection: Connection, run_id: str) -> Run:
    """Read a run whole.

    Raises:
        NotFoundError: No run has this id.
    """
    row = connection.execute(RUNS.where(_run.c.run_id == run_id)).first()
    if row is None:
        raise no_run(run_id)
    return records_of(connection, [row])[0]


def get_run(_store: Store, connection: Connection, call: ops.GetRun) -> Run:
    """Get a run with its params, tags and metric summaries."""
    return read_run(connection, call.run_id)


def delete_run(store: Store, connection: Connection, call: ops.DeleteRun) -> Run:
    """Soft-delete a run; its history says when, which ``loopline gc`` goes by."""
    pk = run_row(connection, call.run_id).pk
    set_lifecycle_of_run(connection, pk, Lifecycle.DELETED, store.clock())
    return read_run(connection, call.run_id)


def restore_run(store: Store, connection: Connection, call: ops.RestoreRun) -> Run:
    """Undo a deletion."""
    pk = run_row(connection, call.run_id).pk
    set_lifecycle_of_run(connection, pk, Lifecycle.ACTIVE, store.clock())
    return read_run(connection, call.run_id)


def artifacts_below(connection: Connection, run_pk: int, folder: str) -> list[Artifact]:
    """List every file below a folder of a run (empty: the whole run), by path."""
    table = schema.artifact
    query = select(table).where(table.c.run_pk == run_pk).order_by(table.c.path)
    if folder:
        query = query.where(below(table, folder))
    return [
        Artifact(path=row.path, sha256=row.sha256, size_bytes=row.size_bytes)
        for row in connection.execute(query)
    ]


def list_artifacts(
    _store: Store, connection: Connection, call: ops.ListArtifacts
) -> list[Artifact]:
    """List what lies in a folder of a run."""
    folder = check_artifact_path(call.path) if call.path else ""
    files = artifacts_below(connection, run_row(connection, call.run_id).pk, folder)
    if call.recursive:
        return files
    return children(files, folder)


def list_inputs(_store: Store, connection: Connection, call: ops.ListInputs) -> list[RunInput]:
    """List the data versions a run read."""
    row = run_row(connection, call.run_id)
    query = (
        select(schema.dataset.c.document, schema.run_input.c.context, schema.run_input.c.tags)
        .join(schema.run_input, schema.run_input.c.dataset_id == schema.dataset.c.id)
        .where(schema.run_input.c.run_pk == row.pk)
        .order_by(schema.dataset.c.id)
    )
    return [
        RunInput(
            dataset=msgspec.json.decode(document, type=Dataset),
            context=context,
            tags=msgspec.json.decode(tags),
        )
        for document, context, tags in connection.execute(query)
    ]


def list_run_events(
    _store: Store, connection: Connection, call: ops.ListRunEvents
) -> list[RunEvent]:
    """List the changes of a run's status, oldest first."""
    table = schema.run_event
    pk = run_row(connection, call.run_id).pk
    rows = connection.execute(select(table).where(table.c.run_pk == pk).order_by(table.c.id))
    return [
        RunEvent(at_ms=row.at_ms, status=RunStatus(row.status), reason=row.reason, actor=row.actor)
        for row in rows
    ]


def list_refused(_store: Store, connection: Connection, call: ops.ListRefused) -> list[RefusedFact]:
    """List what was refused of a run, oldest first."""
    table = schema.refused
    rows = connection.execute(
        select(table).where(table.c.run_id == call.run_id).order_by(table.c.id)
    )
    return [
        RefusedFact(run_id=row.run_id, at_ms=row.at_ms, fact=row.fact, reason=row.reason)
        for row in rows
    ]


def heartbeat(store: Store, connection: Connection, call: ops.Heartbeat) -> int:
    """Note that a writer is alive, and take back what was said of it when it was thought lost."""
    table = schema.writer
    row = connection.execute(select(table).where(table.c.writer == call.writer)).first()
    if row is None:
        return 0
    connection.execute(
        update(table)
        .where(table.c.writer == call.writer)
        .values(last_seen_ms=store.clock(), is_gone=False)
    )
    if row.is_gone:
        revive_runs(connection, call.writer, store.clock())
    return int(row.acknowledged)


def revive_runs(connection: Connection, writer: str, now_ms: int) -> None:
    """Set runs and flow runs of a writer back to RUNNING that were closed as lost."""
    table = schema.writer_run
    rows = connection.execute(
        select(_run.c.pk)
        .join(table, table.c.run_pk == _run.c.pk)
        .where(table.c.writer == writer, _run.c.ended_by == "adopter")
    ).scalars()
    for pk in list(rows):
        connection.execute(
            update(_run)
            .where(_run.c.pk == pk)
            .values(status=RunStatus.RUNNING, end_ms=None, end_reason="", ended_by="")
        )
        add_event(connection, pk, now_ms, RunStatus.RUNNING, "its process is back")
    revive_flow_runs(connection, writer, now_ms)


def add_event(
    connection: Connection,
    run_pk: int,
    at_ms: int,
    status: RunStatus,
    reason: str = "",
    actor: str = "",
) -> None:
    """Append a change of status to a run's history."""
    connection.execute(
        insert(schema.run_event).values(
            run_pk=run_pk, at_ms=at_ms, status=status, reason=reason, actor=actor
        )
    )


def _last_sign(row: Row[Any], now_ms: int) -> int:
    """Tell when a lost run was last heard of: it ended then, and not when that was found out."""
    points = decode(row.document).metrics.values()
    signs = [row.last_seen_ms or 0, *(point.timestamp_ms for point in points)]
    # What users write as a time may lie ahead, and a clock may have been set back.
    return max([int(row.start_ms), *(sign for sign in signs if sign <= now_ms)])


def close_lost_runs(store: Store, connection: Connection, call: ops.CloseLostRuns) -> list[str]:
    """Close as FAILED the running runs whose writers are all gone; answer their ids."""
    now_ms = store.clock()
    if call.writer:
        return close_runs_of(connection, call.writer, call.reason, now_ms)
    silent = schema.writer.c.last_seen_ms < now_ms - int(call.silent_s * 1000)
    reason = call.reason or f"lost: its process has not been heard of for {call.silent_s:g} s"
    return _close_runs(connection, silent, reason, now_ms)


def close_runs_of(connection: Connection, writer: str, reason: str, now_ms: int) -> list[str]:
    """Close what a writer leaves open that is gone; answer the ids of its runs."""
    gone = schema.writer.c.writer.in_([writer, f"{writer}/logs"])
    return _close_runs(connection, gone, reason, now_ms)


def _close_runs(
    connection: Connection, gone: ColumnElement[bool], reason: str, now_ms: int
) -> list[str]:
    writers = schema.writer
    connection.execute(update(writers).where(gone).values(is_gone=True))
    link = schema.writer_run
    alive = exists().where(
        and_(
            link.c.run_pk == _run.c.pk,
            link.c.writer == writers.c.writer,
            writers.c.is_gone.is_(False),
        )
    )
    written = exists().where(link.c.run_pk == _run.c.pk)
    last_seen = (
        select(func.max(writers.c.last_seen_ms))
        .where(link.c.run_pk == _run.c.pk, link.c.writer == writers.c.writer)
        .correlate(_run)
        .scalar_subquery()
    )
    lost = connection.execute(
        RUNS.add_columns(last_seen.label("last_seen_ms")).where(
            _run.c.status == RunStatus.RUNNING, written, ~alive
        )
    ).all()
    for row in lost:
        end_ms = _last_sign(row, now_ms)
        connection.execute(
            update(_run)
            .where(_run.c.pk == row.pk)
            .values(status=RunStatus.FAILED, end_ms=end_ms, end_reason=reason, ended_by="adopter")
        )
        add_event(connection, row.pk, now_ms, RunStatus.FAILED, reason, CLOSER)
    close_lost_flow_runs(connection, reason, now_ms)
    return [row.run_id for row in lost]
