"""Flow runs in the store as people look at them: with why they wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from loopline.errors import InvalidInputError
from loopline.records.flows import FlowRun, FlowRunPage
from loopline.store import schema
from loopline.store.flow_rows import flow_run_record, flow_run_row
from loopline.store.flow_run_authors import visible_flow_runs
from loopline.store.flow_waits import with_waits
from loopline.store.page_tokens import decode_place, encode_place, key_of, stamp_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["get_flow_run", "list_flow_runs"]

_run = schema.flow_run


def list_flow_runs(store: Store, connection: Connection, call: ops.ListFlowRuns) -> FlowRunPage:
    """List flow runs, newest due time first, a page at a time."""
    if not 0 < call.max_results <= 10_000:  # noqa: PLR2004
        msg = "max_results must lie between 1 and 10,000."
        raise InvalidInputError(msg)
    query = select(_run).order_by(_run.c.scheduled_ms.desc(), _run.c.flow_run_id)
    query = query.where(*visible_flow_runs(connection))
    if call.project:
        of = [call.project, ""] if call.with_unregistered else [call.project]
        query = query.where(_run.c.project.in_(of))
    if call.flow_name:
        query = query.where(_run.c.flow_name == call.flow_name)
    if call.states:
        query = query.where(_run.c.state.in_(call.states))
    stamp = stamp_of(
        type(call).__name__, call.project, call.flow_name, call.states, call.with_unregistered
    )
    if call.page_token:
        key = key_of(store, connection)
        at_ms, flow_run_id = decode_place(key, call.page_token, stamp, 2)
        query = query.where(
            or_(
                _run.c.scheduled_ms < at_ms,
                and_(_run.c.scheduled_ms == at_ms, _run.c.flow_run_id > flow_run_id),
            )
        )
    rows = connection.execute(query.limit(call.max_results + 1)).all()
    shown = rows[: call.max_results]
    token = ""
    if len(rows) > len(shown):
        place = (shown[-1].scheduled_ms, shown[-1].flow_run_id)
        token = encode_place(key_of(store, connection), stamp, place)
    records = [flow_run_record(row) for row in shown]
    return FlowRunPage(
        flow_runs=with_waits(connection, shown, records, store.clock()), next_page_token=token
    )


def get_flow_run(store: Store, connection: Connection, call: ops.GetFlowRun) -> FlowRun:
    """Get a flow run."""
    row = flow_run_row(connection, call.flow_run_id)
    return with_waits(connection, [row], [flow_run_record(row)], store.clock())[0]
