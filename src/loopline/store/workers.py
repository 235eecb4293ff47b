"""Workers in the store: which there are, and what each should know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, select

from loopline.errors import InvalidInputError
from loopline.records.flow_operations import WorkerInfo, WorkNews
from loopline.records.flows import StateKind
from loopline.rules.labels import check_labels
from loopline.store import schema
from loopline.store.flow_limits import is_held
from loopline.store.flow_run_authors import visible_flow_runs
from loopline.store.leases import find_due
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import flow_operations as ops
    from loopline.store.database import Store

__all__ = ["LOST_MS", "check_work", "list_workers", "report_worker", "workers_there"]

_run = schema.flow_run
_worker = schema.worker

#: A worker that said nothing for so long is lost; it says something every few seconds.
LOST_MS = 30_000
#: How long one that is gone is still shown.
SHOWN_MS = 3_600_000
STATUSES = ("working", "draining", "stopped")


def report_worker(store: Store, connection: Connection, call: ops.ReportWorker) -> None:
    """Say that a worker is there, and what it is like."""
    if call.status not in STATUSES or not call.worker_id or not 0 < call.slots <= 10_000:  # noqa: PLR2004
        msg = f"A worker has an id, 1 to 10,000 slots, and is one of {', '.join(STATUSES)}."
        raise InvalidInputError(msg)
    now_ms = store.clock()
    started = connection.execute(
        select(_worker.c.started_ms).where(_worker.c.worker_id == call.worker_id)
    ).scalar_one_or_none()
    connection.execute(
        InsertOrReplace(_worker).values(
            worker_id=call.worker_id,
            name=call.name,
            host=call.host,
            pid=call.pid,
            slots=call.slots,
            labels=msgspec.json.encode(check_labels(call.labels)).decode(),
            status=call.status,
            started_ms=now_ms if started is None else started,
            last_seen_ms=now_ms,
        )
    )
    connection.execute(delete(_worker).where(_worker.c.last_seen_ms < now_ms - SHOWN_MS))


def list_workers(store: Store, connection: Connection, _call: ops.ListWorkers) -> list[WorkerInfo]:
    """List the workers that were heard of in the last hour, by name."""
    now_ms = store.clock()
    held: dict[str, list[str]] = {}
    seen = visible_flow_runs(connection)
    running = select(_run.c.worker, _run.c.flow_run_id).where(is_held(now_ms), *seen)
    for name, flow_run_id in connection.execute(running.order_by(_run.c.start_ms)):
        held.setdefault(name, []).append(flow_run_id)
    rows = connection.execute(
        select(_worker)
        .where(_worker.c.last_seen_ms >= now_ms - SHOWN_MS)
        .order_by(_worker.c.name, _worker.c.started_ms)
    )
    return [
        WorkerInfo(
            worker_id=row.worker_id,
            name=row.name,
            host=row.host,
            pid=row.pid,
            slots=row.slots,
            labels=msgspec.json.decode(row.labels),
            status=_status(row, now_ms),
            started_ms=row.started_ms,
            last_seen_ms=row.last_seen_ms,
            flow_runs=held.get(row.name, []),
        )
        for row in rows
    ]


def _status(row: Any, now_ms: int) -> str:  # noqa: ANN401 - a row
    is_lost = row.status != "stopped" and row.last_seen_ms < now_ms - LOST_MS
    return "lost" if is_lost else str(row.status)


def workers_there(connection: Connection, now_ms: int) -> list[tuple[str, int, list[str]]]:
    """List name, slots and labels of the workers that take flow runs now."""
    rows = connection.execute(
        select(_worker).where(
            _worker.c.status == "working", _worker.c.last_seen_ms >= now_ms - LOST_MS
        )
    )
    return [(row.name, row.slots, msgspec.json.decode(row.labels)) for row in rows]


def check_work(store: Store, connection: Connection, call: ops.CheckWork) -> WorkNews:
    """Tell what a worker should know."""
    now_ms = store.clock()
    due_in_ms: int | None = None
    if find_due(connection, now_ms, call.labels) is not None:
        due_in_ms = 0
    else:
        query = select(func.min(_run.c.scheduled_ms)).where(
            _run.c.state == StateKind.SCHEDULED, _run.c.scheduled_ms > now_ms
        )
        next_ms = connection.execute(query).scalar_one_or_none()
        due_in_ms = None if next_ms is None else next_ms - now_ms
    cancel: list[str] = []
    pause: list[str] = []
    if call.holding:
        asked = _run.c.cancel_requested.is_(True) | _run.c.pause_requested.is_(True)
        for row in connection.execute(
            select(_run.c.flow_run_id, _run.c.cancel_requested).where(
                _run.c.flow_run_id.in_(call.holding[:1000]), asked
            )
        ):
            (cancel if row.cancel_requested else pause).append(row.flow_run_id)
    return WorkNews(due_in_ms=due_in_ms, cancel=cancel, pause=pause)
