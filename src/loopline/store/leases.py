"""Leases: who runs a flow run now. Every claim gets a higher token, and older ones are fenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from loopline.errors import InvalidInputError, LeaseLostError
from loopline.records.flows import FlowRun, FlowRunLease, StateKind
from loopline.store import schema
from loopline.store.flow_facts import add_flow_run_event
from loopline.store.flow_rows import flow_run_record, flow_run_row, version_record
from loopline.store.flow_runs import task_runs_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["cancel_flow_run", "claim_flow_run", "release_flow_run", "renew_lease"]

_run = schema.flow_run
_HELD = (StateKind.SUBMITTED, StateKind.RUNNING, StateKind.RETRYING)
MAX_LEASE_S = 3600.0


def claim_flow_run(
    store: Store, connection: Connection, call: ops.ClaimFlowRun
) -> FlowRunLease | None:
    """Take the earliest flow run that is due and free, or whose holder's lease ran out."""
    until_ms = store.clock() + _lease_ms(call.lease_s)
    while True:
        row = _due(connection, store.clock())
        if row is None:
            return None
        if row.cancel_requested:
            _finish_cancelled(store, connection, row, "cancelled; the worker that ran it is gone")
            continue
        break
    message = f"claimed by {call.worker}"
    if row.token:
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
        )
    )
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


def _due(connection: Connection, now_ms: int) -> Row[Any] | None:
    return connection.execute(
        select(_run)
        .where(
            _run.c.flow_version_id != "",
            or_(
                (_run.c.state == StateKind.SCHEDULED) & (_run.c.scheduled_ms <= now_ms),
                _run.c.state.in_(_HELD) & (_run.c.lease_until_ms <= now_ms) & (_run.c.token > 0),
            ),
        )
        .order_by(_run.c.scheduled_ms, _run.c.flow_run_id)
        .limit(1)
    ).first()


def _lease_ms(lease_s: float) -> int:
    if not 0 < lease_s <= MAX_LEASE_S:
        msg = f"A lease lasts more than 0 and at most {MAX_LEASE_S:g} seconds, not {lease_s:g}."
        raise InvalidInputError(msg)
    return int(lease_s * 1000)


def renew_lease(store: Store, connection: Connection, call: ops.RenewLease) -> FlowRun:
    """Hold on to a flow run; a lease that ran out but was taken by nobody can be renewed."""
    row = _held_by(connection, call.flow_run_id, call.token)
    if not StateKind(row.state).is_finished:
        connection.execute(
            update(_run)
            .where(_run.c.flow_run_id == call.flow_run_id)
            .values(lease_until_ms=store.clock() + _lease_ms(call.lease_s))
        )
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def release_flow_run(store: Store, connection: Connection, call: ops.ReleaseFlowRun) -> FlowRun:
    """Give a flow run back; it becomes due again unless it has finished."""
    row = _held_by(connection, call.flow_run_id, call.token)
    if not StateKind(row.state).is_finished:
        message = call.reason or f"given back by {row.worker}"
        connection.execute(
            update(_run)
            .where(_run.c.flow_run_id == call.flow_run_id)
            .values(state=StateKind.SCHEDULED, message=message, lease_until_ms=0)
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
    if state in _HELD and row.lease_until_ms > store.clock():
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
