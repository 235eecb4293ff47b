"""Carrying out automations: in the transaction of what happened, once for each event.

Events are rows that are there already: changes of state of flow runs and tasks, and of model
versions, and arrivals of feeds. Each automation has the number of the last one that it has seen,
and moves it in the transaction that acts on the ones after it; a unique key holds the two together.

Automations may set off each other. That ends after ``MOST_DEPTH`` of them, and each does at most
``MOST_AN_HOUR``; what is held back is written down with the reason.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, func, insert, select, update

from loopline.errors import LooplineError, NotFoundError
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, FiringStatus
from loopline.records.flows import Origin, StateKind
from loopline.records.webhooks import DeliveryStatus
from loopline.rules.automations import Happening, fill_in, fits
from loopline.store import schema
from loopline.store.automations import AutomationDocument
from loopline.store.flow_origins import Started
from loopline.store.flow_rows import flow_run_row, newest_version, version_record
from loopline.store.flow_runs import check_parameters, insert_run
from loopline.store.flows import set_schedule_active
from loopline.store.leases import cancel_flow_run
from loopline.store.upserts import InsertOrIgnore
from loopline.store.webhooks import body_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

    from loopline.store.database import Store

__all__ = ["carry_out_automations", "pass_over_models"]

log = logging.getLogger("loopline.automations")

_automation = schema.automation
_firing = schema.automation_firing
_run = schema.flow_run
_flow_event = schema.flow_run_event
_version_event = schema.version_event
_arrival = schema.feed_arrival

MOST_DEPTH = 10
MOST_AN_HOUR = 1_000
HOUR_MS = 3_600_000
#: Events read at a time, and late runs found at a time.
TOGETHER = 1_000

#: The automation that made a flow run, and after what. Scan of the firings, which only a circle is
#: worth.
MADE_BY = (
    select(_automation.c.name, _firing.c.subject)
    .join(_firing, _firing.c.automation_id == _automation.c.automation_id)
    .where(_firing.c.flow_run_id == bindparam("id"))
)

_FLOW_EVENTS = (EventKind.FLOW_RUN, EventKind.TASK)
_MODEL_EVENTS = (EventKind.MODEL_VERSION, EventKind.STAGE)
_FEED_EVENTS = (EventKind.NEW_DATA,)


def carry_out_automations(store: Store, connection: Connection) -> None:
    """Do what automations say about what has happened. One look-up when there is none."""
    rows = connection.execute(select(_automation).where(_automation.c.is_active.is_(True))).all()
    if not rows:
        return
    # What they do are events, too, for them and for others: until nothing follows.
    for _ in range(MOST_DEPTH + 2):
        done = _look(store, connection, [row for row in rows if row.event in _FLOW_EVENTS])
        done += _look(store, connection, [row for row in rows if row.event in _MODEL_EVENTS])
        done += _look(store, connection, [row for row in rows if row.event in _FEED_EVENTS])
        done += _look_for_late(store, connection, [r for r in rows if r.event == EventKind.LATE])
        if not done:
            return
        rows = connection.execute(
            select(_automation).where(_automation.c.is_active.is_(True))
        ).all()


def pass_over_models(connection: Connection) -> None:
    """Let automations take what just happened to models for history: somebody imports it."""
    newest = select(func.coalesce(func.max(_version_event.c.id), 0)).scalar_subquery()
    connection.execute(
        update(_automation).where(_automation.c.event.in_(_MODEL_EVENTS)).values(seen=newest)
    )


def _look(store: Store, connection: Connection, rows: list[Row[Any]]) -> int:
    """Act on events of one table that came after what each automation has seen."""
    if not rows:
        return 0
    table = _table_of(rows[0].event)
    newest = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
    first = min(row.seen for row in rows)
    if newest == first == max(row.seen for row in rows):
        return 0
    done, reached = 0, first
    wanted = {row.event for row in rows}
    runs: dict[str, Row[Any] | None] = {}
    while reached < newest:
        events = connection.execute(
            select(table).where(table.c.id > reached).order_by(table.c.id).limit(TOGETHER)
        ).all()
        for event in events:
            news = [row for row in rows if row.seen < event.id]
            happening = _happening(connection, event, runs, wanted) if news else None
            if happening is not None:
                done += sum(_act(store, connection, row, happening) for row in news)
        reached = events[-1].id
    # A project that was deleted may have taken the newest events along.
    connection.execute(
        update(_automation)
        .where(_automation.c.automation_id.in_([row.automation_id for row in rows]))
        .values(seen=newest)
    )
    return done


def _table_of(event: str) -> Table:
    """Tell which table has the events of a kind."""
    if event in _FEED_EVENTS:
        return _arrival
    return _flow_event if event in _FLOW_EVENTS else _version_event


def _happening(
    connection: Connection, event: Row[Any], runs: dict[str, Row[Any] | None], wanted: set[str]
) -> Happening | None:
    """Tell what an event is; None: nothing that automations hear of."""
    if hasattr(event, "keys_sha256"):
        return _new_data(connection, event)
    if hasattr(event, "flow_run_id"):
        kind = EventKind.TASK if event.task_slug else EventKind.FLOW_RUN
        if kind not in wanted:
            return None
        if event.flow_run_id not in runs:
            query = select(_run).where(_run.c.flow_run_id == event.flow_run_id)
            runs[event.flow_run_id] = connection.execute(query).first()
        run = runs[event.flow_run_id]
        if run is None:
            return None
        return _of_run(
            kind,
            f"event/{event.id}/{event.at_ms}",
            run,
            state=event.state,
            task=event.task_slug,
            message=event.message,
            at_ms=event.at_ms,
        )
    kinds = {"created": EventKind.MODEL_VERSION, "stage": EventKind.STAGE}
    if event.kind not in kinds:
        return None
    return Happening(
        event=kinds[event.kind],
        key=f"version-event/{event.id}/{event.at_ms}",
        subject=f"version/{event.name}/{event.version}",
        at_ms=event.at_ms,
        depth=_depth_of_version(connection, event.name, event.version),
        model=event.name,
        version=event.version,
        stage=event.after if event.kind == "stage" else "",
    )


def _new_data(connection: Connection, event: Row[Any]) -> Happening:
    feed = schema.feed
    project = select(feed.c.project).where(feed.c.name == event.feed)
    depth = select(_run.c.depth).where(_run.c.flow_run_id == event.flow_run_id)
    return Happening(
        event=EventKind.NEW_DATA,
        key=f"feed-arrival/{event.id}/{event.at_ms}",
        subject=f"feed/{event.feed}",
        at_ms=event.at_ms,
        depth=int(connection.execute(depth).scalar() or 0) if event.flow_run_id else 0,
        project=connection.execute(project).scalar() or "",
        feed=event.feed,
        rows=event.rows,
        message=f"{event.rows:,} new rows",
    )


def _of_run(
    kind: EventKind, key: str, run: Row[Any], *, state: str, task: str, message: str, at_ms: int
) -> Happening:
    return Happening(
        event=kind,
        key=key,
        subject=f"flow-run/{run.flow_run_id}",
        at_ms=at_ms,
        depth=run.depth,
        project=run.project,
        flow=run.flow_name,
        flow_run_id=run.flow_run_id,
        state=state,
        task=task,
        message=message,
    )


def _depth_of_version(connection: Connection, name: str, version: int) -> int:
    """Find how many automations led to the flow run that made a model version."""
    table, run = schema.model_version, schema.run
    query = (
        select(_run.c.depth)
        .join(run, run.c.flow_run_id == _run.c.flow_run_id)
        .join(table, table.c.run_id == run.c.run_id)
        .where(table.c.name == name, table.c.version == version)
    )
    return int(connection.execute(query).scalar() or 0)


def _look_for_late(store: Store, connection: Connection, rows: list[Row[Any]]) -> int:
    done = 0
    for row in rows:
        when = msgspec.json.decode(row.document, type=AutomationDocument).when
        now_ms = store.clock()
        told = select(_firing.c.id).where(
            _firing.c.automation_id == row.automation_id,
            _firing.c.event_key == "late/" + _run.c.flow_run_id,
        )
        late = connection.execute(
            select(_run)
            .where(
                _run.c.state == StateKind.SCHEDULED,
                _run.c.token == 0,
                _run.c.scheduled_ms <= now_ms - round(when.late_s * 1000),
                _run.c.scheduled_ms >= row.created_ms,
                ~told.exists(),
            )
            .order_by(_run.c.scheduled_ms)
            .limit(TOGETHER)
        ).all()
        for run in late:
            happening = _of_run(
                EventKind.LATE, f"late/{run.flow_run_id}", run, state=run.state, task="",
                message=run.message, at_ms=now_ms,
            )  # fmt: skip
            done += _act(store, connection, row, happening)
    return done


def _act(store: Store, connection: Connection, row: Row[Any], happening: Happening) -> bool:
    """Do what an automation says of an event, if it fits; note how that went."""
    document = msgspec.json.decode(row.document, type=AutomationDocument)
    if not fits(row.project, document.when, happening):
        return False
    status, detail, flow_run_id = FiringStatus.DONE, "", ""
    if why := _held_back(store, connection, row, happening):
        status, detail = FiringStatus.HELD_BACK, why
        if happening.depth >= MOST_DEPTH and happening.flow_run_id:
            # Whoever looks at the last run of the circle shall see why nothing followed.
            _log_line(store, connection, happening, f"Automation {row.name!r} is held back: {why}.")
    else:
        try:
            with connection.begin_nested():
                detail, flow_run_id = _DOES[document.then.action](
                    store, connection, row, document, happening
                )
        except LooplineError as error:
            status, detail = FiringStatus.FAILED, str(error)
    if status is not FiringStatus.DONE:
        log.warning("Automation %r, %s: %s", row.name, status.value, detail)
    connection.execute(
        InsertOrIgnore(_firing)
        .inline()
        .values(
            automation_id=row.automation_id,
            event_key=happening.key,
            at_ms=store.clock(),
            status=status,
            subject=happening.subject,
            detail=detail[:2000],
            flow_run_id=flow_run_id,
        )
    )
    return status is FiringStatus.DONE


def _held_back(store: Store, connection: Connection, row: Row[Any], happening: Happening) -> str:
    if happening.depth >= MOST_DEPTH:
        names = _led_here(connection, happening.flow_run_id)
        chain = f" ({' → '.join([*names, row.name])})" if names else ""
        return (
            f"{MOST_DEPTH} automations led to this already{chain}; "
            "they seem to go round in a circle"
        )
    lately = connection.execute(
        select(func.count()).where(
            and_(
                _firing.c.automation_id == row.automation_id,
                _firing.c.at_ms > store.clock() - HOUR_MS,
                _firing.c.status == FiringStatus.DONE,
            )
        )
    ).scalar_one()
    return f"it did {lately:,} things in the last hour" if lately >= MOST_AN_HOUR else ""


def _led_here(connection: Connection, flow_run_id: str) -> list[str]:
    """Name the automations that led to a flow run, first to last, as far as it can be told."""
    names: list[str] = []
    while flow_run_id and len(names) < MOST_DEPTH:
        made = connection.execute(MADE_BY, {"id": flow_run_id}).first()
        if made is None:
            break
        names.append(made.name)
        flow_run_id = made.subject.removeprefix("flow-run/")
    return names[::-1]


# --- what is done: answers what there is to say, and the run that was made ----------------------


def _flow_meant(
    row: Row[Any], document: AutomationDocument, happening: Happening
) -> tuple[str, str]:
    """Name the flow that is acted on; an automation of a project never leaves it."""
    then = document.then
    project = row.project or then.project or happening.project
    return project, then.flow or happening.flow


def _run_flow(
    store: Store,
    connection: Connection,
    row: Row[Any],
    document: AutomationDocument,
    happening: Happening,
) -> tuple[str, str]:
    project, flow = _flow_meant(row, document, happening)
    flow_id, version_id = newest_version(connection, project, flow)
    version = version_record(connection, version_id)
    parameters = check_parameters(version, fill_in(document.then.parameters, happening))
    flow_run_id = insert_run(
        connection,
        store.clock(),
        flow_id=flow_id,
        version=version,
        parameters=parameters,
        scheduled_ms=store.clock(),
        note=f"made after {happening.subject}",
        started=Started(
            Origin.EVENT if row.flow_id else Origin.AUTOMATION,
            happening.subject if row.flow_id else row.name,
            happening.depth + 1,
        ),
    )
    return f"runs {version.project}/{version.name}", flow_run_id


def _cancel(
    store: Store,
    connection: Connection,
    row: Row[Any],
    document: AutomationDocument,
    happening: Happening,
) -> tuple[str, str]:
    del document
    run = flow_run_row(connection, happening.flow_run_id)
    if StateKind(run.state).is_finished:
        return f"it is over already: {run.state}", ""
    call = ops.CancelFlowRun(
        flow_run_id=run.flow_run_id, reason=f"cancelled by automation {row.name!r}"
    )
    cancel_flow_run(store, connection, call)
    return "cancelled", ""


def _pause_schedule(
    store: Store,
    connection: Connection,
    row: Row[Any],
    document: AutomationDocument,
    happening: Happening,
) -> tuple[str, str]:
    project, flow = _flow_meant(row, document, happening)
    set_schedule_active(
        store, connection, ops.SetScheduleActive(project=project, name=flow, active=False)
    )
    return f"the schedule of {project}/{flow} is off", ""


def _tell_webhook(
    store: Store,
    connection: Connection,
    row: Row[Any],
    document: AutomationDocument,
    happening: Happening,
) -> tuple[str, str]:
    table, wanted = schema.webhook, document.then.webhook
    webhook = connection.execute(
        select(table).where((table.c.name == wanted) | (table.c.webhook_id == wanted))
    ).first()
    if webhook is None:
        msg = f"No webhook {wanted!r}. List them: `loopline webhooks list`."
        raise NotFoundError(msg)
    now_ms = store.clock()
    data = msgspec.to_builtins(happening)
    del data["key"], data["depth"]
    said = {**data, "automation": row.name, "message": _message(document, happening)}
    connection.execute(
        insert(schema.webhook_delivery).values(
            delivery_id=str(uuid.uuid4()),
            webhook_id=webhook.webhook_id,
            event="automation.fired",
            body=body_of("automation.fired", said, now_ms),
            status=DeliveryStatus.WAITING,
            at_ms=now_ms,
            due_ms=now_ms,
        )
    )
    return f"tells {webhook.name}", ""


def _write_line(
    store: Store,
    connection: Connection,
    row: Row[Any],
    document: AutomationDocument,
    happening: Happening,
) -> tuple[str, str]:
    message = f"Automation {row.name!r}: {_message(document, happening)}"
    log.warning("%s", message)
    if happening.flow_run_id:
        _log_line(store, connection, happening, message)
    return message, ""


def _log_line(store: Store, connection: Connection, happening: Happening, message: str) -> None:
    """Write into the log of the flow run that something happened to."""
    connection.execute(
        insert(schema.log_line).values(
            flow_run_id=happening.flow_run_id,
            task_slug=happening.task,
            at_ms=store.clock(),
            level=logging.WARNING,
            message=message,
        )
    )


def _message(document: AutomationDocument, happening: Happening) -> str:
    if document.then.message:
        return str(fill_in(document.then.message, happening))
    what = happening.state or happening.stage or happening.event.value
    return f"{happening.subject} {happening.task} {what} {happening.message}".strip()


_DOES = {
    Action.RUN: _run_flow,
    Action.CANCEL: _cancel,
    Action.PAUSE_SCHEDULE: _pause_schedule,
    Action.WEBHOOK: _tell_webhook,
    Action.LOG: _write_line,
}
