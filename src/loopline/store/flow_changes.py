"""What people do to a flow run: retry, run again, pause, go on, rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, delete, or_, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import FlowGraph, FlowRun, StateKind
from loopline.rules.labels import check_labels
from loopline.rules.rerun import unsuccessful, with_all_after
from loopline.store import schema
from loopline.store.flow_facts import add_flow_run_event
from loopline.store.flow_limits import HELD
from loopline.store.flow_rows import flow_run_record, flow_run_row, version_record
from loopline.store.flow_runs import check_priority, task_runs_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from loopline.records import flow_operations as ops
    from loopline.store.database import Store

__all__ = [
    "forget_task_runs",
    "pause_flow_run",
    "rerun_flow_run",
    "resume_flow_run",
    "retry_flow_run",
    "update_flow_run",
]

_run = schema.flow_run
_task = schema.task_run
#: Conditions in one statement.
TOGETHER = 200


def retry_flow_run(store: Store, connection: Connection, call: ops.RetryFlowRun) -> FlowRun:
    """Go on with a failed or cancelled flow run; what succeeded stays."""
    row = _finished_row(connection, call.flow_run_id, "retried")
    state = StateKind(row.state)
    if not state.is_failed:
        msg = (
            f"Flow run {call.flow_run_id} ended well; there is nothing to retry. To run some of it "
            f"again: loopline flow-runs rerun {call.flow_run_id[:8]} --from TASK."
        )
        raise InvalidInputError(msg)
    _retry(store, connection, row, call.reason, call.actor)
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def _retry(store: Store, connection: Connection, row: Row[Any], reason: str, actor: str) -> None:
    runs = task_runs_of(connection, row.flow_run_id)
    graph = _graph(connection, row)
    forget_task_runs(connection, row.flow_run_id, with_all_after(graph, runs, unsuccessful(runs)))
    _make_due(store, connection, row, _said("retried", reason, actor), actor)


def rerun_flow_run(store: Store, connection: Connection, call: ops.RerunFlowRun) -> FlowRun:
    """Run a finished flow run again, from some tasks on or from scratch."""
    row = _finished_row(connection, call.flow_run_id, "run again")
    runs = task_runs_of(connection, call.flow_run_id)
    if call.from_tasks:
        graph = _graph(connection, row)
        slugs = _slugs(graph, call.from_tasks)
        # What had not ended well runs again anyhow.
        begin = [*((slug, -1) for slug in slugs), *unsuccessful(runs)]
        forget_task_runs(connection, row.flow_run_id, with_all_after(graph, runs, begin))
        what = f"run again from {', '.join(slugs)}"
    else:
        connection.execute(delete(_task).where(_task.c.flow_run_id == call.flow_run_id))
        what = "run again from scratch"
    _make_due(store, connection, row, _said(what, call.reason, call.actor), call.actor)
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def pause_flow_run(store: Store, connection: Connection, call: ops.PauseFlowRun) -> FlowRun:
    """Pause a flow run: at once when nobody runs it, else its worker is told."""
    row = _own_row(connection, call.flow_run_id, "paused")
    state = StateKind(row.state)
    if state.is_finished or state is StateKind.PAUSED:
        msg = f"Flow run {call.flow_run_id} is {state.value}; there is nothing to pause."
        raise InvalidInputError(msg)
    message = _said("paused", call.reason, call.actor)
    if state in HELD and row.lease_until_ms > store.clock():
        _set(connection, call.flow_run_id, pause_requested=True)
    else:
        _set(connection, call.flow_run_id, state=StateKind.PAUSED, message=message,
             lease_until_ms=0, token=row.token + 1)  # fmt: skip
        _tell(store, connection, row, StateKind.PAUSED, message, call.actor)
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def resume_flow_run(store: Store, connection: Connection, call: ops.ResumeFlowRun) -> FlowRun:
    """Go on with a paused flow run, and with a failed or cancelled one as a retry does."""
    row = _own_row(connection, call.flow_run_id, "resumed")
    state = StateKind(row.state)
    if state in HELD and row.pause_requested:
        _set(connection, call.flow_run_id, pause_requested=False)
    elif state.is_failed:
        _retry(store, connection, row, call.reason, call.actor)
    elif state is StateKind.PAUSED:
        _approve(store, connection, row, call)
        _make_due(store, connection, row, _said("resumed", call.reason, call.actor), call.actor)
    else:
        msg = f"Flow run {call.flow_run_id} is {state.value}, and neither paused nor failed."
        raise InvalidInputError(msg)
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def _approve(store: Store, connection: Connection, row: Row[Any], call: ops.ResumeFlowRun) -> None:
    # What was paused until a time goes on by itself, unless somebody names it.
    paused = [
        run
        for run in task_runs_of(connection, row.flow_run_id)
        if run.state is StateKind.PAUSED and (call.tasks or not run.until_ms)
    ]
    if call.tasks:
        chosen = set(_slugs(_graph(connection, row), call.tasks))
        if missing := chosen - {run.task_slug for run in paused}:
            msg = f"{', '.join(sorted(missing))} did not pause, so there is nothing to approve."
            raise InvalidInputError(msg)
        paused = [run for run in paused if run.task_slug in chosen]
    message = _said("approved", call.reason, call.actor)
    for run in paused:
        connection.execute(
            update(_task)
            .where(
                _task.c.flow_run_id == row.flow_run_id,
                _task.c.task_slug == run.task_slug,
                _task.c.map_index == run.map_index,
            )
            .values(state=StateKind.RESUME, message=message)
        )
        add_flow_run_event(
            connection, row.flow_run_id, store.clock(), StateKind.RESUME, message,
            actor=call.actor, task_slug=run.task_slug, map_index=run.map_index,
        )  # fmt: skip


def update_flow_run(_store: Store, connection: Connection, call: ops.UpdateFlowRun) -> FlowRun:
    """Change what people say of a flow run."""
    row = flow_run_row(connection, call.flow_run_id)
    values: dict[str, Any] = {}
    if call.name is not None:
        values["name"] = call.name
    if call.note is not None:
        values["note"] = call.note
    if call.priority is not None:
        values["priority"] = check_priority(call.priority)
    if call.labels is not None:
        if StateKind(row.state) in HELD:
            msg = "A worker has this flow run; its labels say who may take it, and are too late."
            raise InvalidInputError(msg)
        values["labels"] = msgspec.json.encode(check_labels(call.labels)).decode()
    if values:
        _set(connection, call.flow_run_id, **values)
    return flow_run_record(flow_run_row(connection, call.flow_run_id))


def forget_task_runs(
    connection: Connection, flow_run_id: str, places: Iterable[tuple[str, int]]
) -> None:
    """Forget where tasks stand; the history keeps what happened."""
    wanted = list(places)
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        connection.execute(
            delete(_task).where(
                _task.c.flow_run_id == flow_run_id,
                or_(*(and_(_task.c.task_slug == slug, _task.c.map_index == index)
                      for slug, index in some)),
            )
        )  # fmt: skip


def _own_row(connection: Connection, flow_run_id: str, what: str) -> Row[Any]:
    """Get the row of a flow run that workers can go on with."""
    row = flow_run_row(connection, flow_run_id)
    if not row.flow_version_id:
        msg = (
            f"Flow run {flow_run_id} was made by flow.run() in somebody's own program, so it "
            f"cannot be {what} here. Run it there again, or register the flow for workers."
        )
        raise InvalidInputError(msg)
    return row


def _finished_row(connection: Connection, flow_run_id: str, what: str) -> Row[Any]:
    row = _own_row(connection, flow_run_id, what)
    state = StateKind(row.state)
    if not state.is_finished:
        msg = (
            f"Flow run {flow_run_id} is {state.value}; only what has ended can be {what}. "
            f"Cancel it first: loopline flow-runs cancel {flow_run_id[:8]}"
        )
        raise InvalidInputError(msg)
    return row


def _graph(connection: Connection, row: Row[Any]) -> FlowGraph:
    return version_record(connection, row.flow_version_id).graph


def _slugs(graph: FlowGraph, named: Iterable[str]) -> list[str]:
    """Find tasks by their slugs, or by a name that only one has."""
    known = {task.slug for task in graph.tasks}
    found = []
    for name in named:
        own = [name] if name in known else [t.slug for t in graph.tasks if t.name == name]
        if not own:
            raise NotFoundError.among(
                "task",
                name,
                sorted(known),
                said=f"The flow has no task {name!r}.",
                hint=f"It has: {', '.join(sorted(known))}.",
            )
        if len(own) > 1:
            msg = f"Several tasks have the name {name!r}. Say which: {', '.join(own)}."
            raise InvalidInputError(msg)
        found += own
    return found


def _said(what: str, reason: str, actor: str) -> str:
    return f"{what}{f' by {actor}' if actor else ''}{f': {reason}' if reason else ''}"


def _make_due(
    store: Store, connection: Connection, row: Row[Any], message: str, actor: str
) -> None:
    """Let the next worker take a flow run; whoever had it before is fenced."""
    _set(
        connection,
        row.flow_run_id,
        state=StateKind.SCHEDULED,
        message=message,
        start_ms=None if StateKind(row.state).is_finished else row.start_ms,
        end_ms=None,
        token=row.token + 1,
        lease_until_ms=0,
        cancel_requested=False,
        pause_requested=False,
        lost_ms=None,
    )
    _tell(store, connection, row, StateKind.SCHEDULED, message, actor)


def _set(connection: Connection, flow_run_id: str, **values: Any) -> None:  # noqa: ANN401
    connection.execute(update(_run).where(_run.c.flow_run_id == flow_run_id).values(**values))


def _tell(
    store: Store, connection: Connection, row: Row[Any], state: StateKind, message: str, actor: str
) -> None:
    add_flow_run_event(connection, row.flow_run_id, store.clock(), state, message, actor=actor)
