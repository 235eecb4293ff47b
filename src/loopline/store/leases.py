"""Leases: who runs a flow run now. Every claim gets a higher token, and older ones are fenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, delete, or_, select, update

from loopline.errors import InvalidInputError, LeaseLostError
from loopline.records.flows import FlowRun, FlowRunLease, StateKind
from loopline.store import schema
from loopline.store.flow_facts import CLOSER, add_flow_run_event
from loopline.store.flow_limits import HELD, flows_at_their_limit
from loopline.store.flow_rows import flow_run_record, flow_run_row, version_record
from loopline.store.flow_runs import task_runs_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "cancel_flow_run",
    "claim_flow_run",
    "close_lost_flow_runs",
    "find_due",
    "release_flow_run",
    "renew_lease",
]

_run = schema.flow_run
_task = schema.task_run
MAX_LEASE_S = 3600.0
#: What a flow version says of runs whose worker died.
RESTART, NO = "restart", "no"


def claim_flow_run(
    store: Store, connection: Connection, call: ops.ClaimFlowRun
) -> FlowRunLease | None:
    """Take the first flow run that is due and free, or whose holder's lease ran out."""
    until_ms = store.clock() + _lease_ms(call.lease_s)
    while True:
        row = find_due(connection, store.clock(), call.labels)
        if row is None:
            return None
        if row.cancel_requested:
            _finish_cancelled(store, connection, row, "cancelled; the worker that ran it is gone")
            continue
        break
    is_lost = row.state != StateKind.SCHEDULED or row.lost_ms is not None
    message = f"claimed by {call.worker}"
    if is_lost:
        message = f"taken over by {call.worker}: the lease of {row.worker} ran out"
    connection.execute(
        update(_run)
        .where(_run.c.flow_run_id == row.flow_run_id)
        .values(
            state=StateKind.SUBMITTED,
            message=message,
            token=row.token + 1,
            worker=call.worker,
            lease_until_ms=until_ms,
            lost_ms=None,
        )
    )
    if is_lost and row.resume == RESTART:
        connection.execute(delete(_task).where(_task.c.flow_run_id == row.flow_run_id))
    add_flow_run_event(
        connection,
        row.flow_run_id,
        store.clock(),
        StateKind.SUBMITTED,
        message,
        actor=call.worker,
    )
    return FlowRunLease(
        flow_run=flow_run_record(flow_run_row(connection, row.flow_run_id)),
        flow_version=version_record(connection, row.flow_version_id),
        task_runs=task_runs_of(connection, row.flow_run_id),
        token=row.token + 1,
        lease_until_ms=until_ms,
    )


def find_due(connection: Connection, now_ms: int, labels: list[str]) -> Row[Any] | None:
    """Find the flow run that a worker with these labels takes next."""
    is_due = and_(
        _run.c.flow_version_id != "",
        or_(
            (_run.c.state == StateKind.SCHEDULED) & (_run.c.scheduled_ms <= now_ms),
            _run.c.state.in_(HELD)
            & (_run.c.lease_until_ms <= now_ms)
            & (_run.c.token > 0)
            & (_run.c.resume != NO),
        ),
    )
    wanted = connection.execute(select(_run.c.labels).where(is_due).distinct()).scalars()
    covered = [each for each in wanted if set(msgspec.json.decode(each)) <= set(labels)]
    if not covered:
        return None
    query = select(_run).where(is_due, _run.c.labels.in_(covered))
    if full := flows_at_their_limit(connection, now_ms):
        query = query.where(_run.c.flow_id.not_in(full))
    order = (_run.c.priority.desc(), _run.c.scheduled_ms, _run.c.flow_run_id)
    return connection.execute(query.order_by(*order).limit(1)).first()


def close_lost_flow_runs(
    store: Store, connection: Connection, call: ops.CloseLostFlowRuns
) -> list[str]:
    """Note whose workers are gone, and which flow runs wait for too long."""
    now_ms = store.clock()
    rows = connection.execute(
        select(_run).where(
            _run.c.state.in_(HELD),
            _run.c.flow_version_id != "",
            _run.c.token > 0,
            _run.c.lease_until_ms <= now_ms,
        )
    ).all()
    for row in rows:
        if row.cancel_requested:
            _finish_cancelled(store, connection, row, "cancelled; the worker that ran it is gone")
        else:
            _close_lost(connection, row, now_ms)
    connection.execute(
        update(_run)
        .where(
            _run.c.state == StateKind.SCHEDULED,
            _run.c.flow_version_id != "",
            _run.c.token == 0,
            _run.c.scheduled_ms <= now_ms - max(call.late_s, 0) * 1000,
            _run.c.late_ms.is_(None),
        )
        .values(late_ms=now_ms)
    )
    return [row.flow_run_id for row in rows]


def _close_lost(connection: Connection, row: Row[Any], now_ms: int) -> None:
    """Fail a lost flow run, and let the next worker have it unless its version says no.

    Its token stays: a worker that only slept, and is back before anybody took over, goes on.
    """
    lost = f"lost: nothing was heard of {row.worker} any more"
    changes: dict[str, Any] = {"lost_ms": now_ms, "lease_until_ms": 0}
    add_flow_run_event(connection, row.flow_run_id, now_ms, StateKind.FAILED, lost, actor=CLOSER)
    if row.resume == NO:
        changes |= {"state": StateKind.FAILED, "message": lost, "end_ms": now_ms}
    else:
        then = "it begins again" if row.resume == RESTART else "it goes on from its finished tasks"
        message = f"{lost}; {then} with the next worker"
        changes |= {"state": StateKind.SCHEDULED, "message": message}
        add_flow_run_event(
            connection, row.flow_run_id, now_ms, StateKind.SCHEDULED, message, actor=CLOSER
        )
    connection.execute(update(_run).where(_run.c.flow_run_id == row.flow_run_id).values(**changes))


def _lease_ms(lease_s: float) -> int:
    if not 0 < lease_s <= MAX_LEASE_S:
        msg = f"A lease lasts more than 0 and at most {MAX_LEASE_S:g} seconds, not {lease_s:g}."
        raise InvalidInputError(msg)
    return int(lease_s * 1000)


def renew_lease(store: Store, connection: Connection, call: ops.RenewLease) -> FlowRun:
    """Hold on to a flow run; a lease that ran out but was taken by nobody can be renewed."""
    row = _held_by(connection, call.flow_run_id, call.token)
    state = StateKind(row.state)
    values: dict[str, Any] = {"lease_until_ms": store.clock() + _lease_ms(call.lease_s)}
    if row.lost_ms is not None:
        message = f"{row.worker} is back"
        values |= {
            "state": StateKind.RUNNING, "message": message, "lost_ms": None, "end_ms": None,
        }  # fmt: skip
        add_flow_run_event(
            connection, call.flow_run_id, store.clock(), StateKind.RUNNING, message, actor=CLOSER
        )
    if row.lost_ms is not None or state in HELD:
        connection.execute(
            update(_run).where(_run.c.flow_run_id == call.flow_run_id).values(**values)
        )
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def release_flow_run(store: Store, connection: Connection, call: ops.ReleaseFlowRun) -> FlowRun:
    """Give a flow run back; it becomes due again unless it has finished."""
    row = _held_by(connection, call.flow_run_id, call.token)
    if StateKind(row.state) in HELD:
        message = call.reason or f"given back by {row.worker}"
        connection.execute(
            update(_run)
            .where(_run.c.flow_run_id == call.flow_run_id)
            .values(state=StateKind.SCHEDULED, message=message, lease_until_ms=0)
        )
        # Nothing was wrong with what it ran: those attempts count neither as tries nor as deaths.
        connection.execute(
            update(_task)
            .where(
                _task.c.flow_run_id == call.flow_run_id,
                _task.c.state == StateKind.RUNNING,
                _task.c.attempt > 0,
            )
            .values(state=StateKind.PENDING, attempt=_task.c.attempt - 1, message=message)
        )
        add_flow_run_event(
            connection,
            call.flow_run_id,
            store.clock(),
            StateKind.SCHEDULED,
            message,
            actor=row.worker,
        )
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def _held_by(connection: Connection, flow_run_id: str, token: int) -> Row[Any]:
    row = flow_run_row(connection, flow_run_id)
    if row.token != token:
        msg = (
            f"Flow run {flow_run_id} went to {row.worker or 'another worker'}; stop working on it."
        )
        raise LeaseLostError(msg)
    return row


def cancel_flow_run(store: Store, connection: Connection, call: ops.CancelFlowRun) -> FlowRun:
    """Cancel a flow run: at once when nobody runs it, else its worker is told."""
    row = flow_run_row(connection, call.flow_run_id)
    state = StateKind(row.state)
    if state.is_finished:
        msg = f"Flow run {call.flow_run_id} is over ({state.value}); there is nothing to cancel."
        raise InvalidInputError(msg)
    if state in HELD and row.lease_until_ms > store.clock():
        connection.execute(
            update(_run).where(_run.c.flow_run_id == call.flow_run_id).values(cancel_requested=True)
        )
    else:
        _finish_cancelled(store, connection, row, call.reason or "cancelled")
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def _finish_cancelled(store: Store, connection: Connection, row: Row[Any], reason: str) -> None:
    now_ms = store.clock()
    connection.execute(
        update(_run)
        .where(_run.c.flow_run_id == row.flow_run_id)
        .values(
            state=StateKind.CANCELLED,
            message=reason,
            end_ms=now_ms,
            lease_until_ms=0,
            cancel_requested=True,
            # Whoever still works on it is fenced.
            token=row.token + 1,
        )
    )
    add_flow_run_event(connection, row.flow_run_id, now_ms, StateKind.CANCELLED, reason)
