"""Automations in the store: made, switched and deleted by people, or registered with a flow."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records.automations import (
    Action,
    Automation,
    EventKind,
    Firing,
    FiringStatus,
    FlowTrigger,
    Then,
    When,
)
from loopline.records.identity import Thing
from loopline.rules.automations import check_automation
from loopline.store import schema
from loopline.store.callers import only_visible

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import automations as ops
    from loopline.store.database import Store

__all__ = [
    "AutomationDocument",
    "automation_record",
    "create_automation",
    "delete_automation",
    "list_automations",
    "list_firings",
    "newest_event",
    "set_automation_active",
    "set_flow_triggers",
]

_automation = schema.automation
_firing = schema.automation_firing
_flow = schema.flow
LONGEST_NAME, MOST_SHOWN = 200, 10_000
#: Automations that one flow may be registered with.
MOST_TRIGGERS = 100


class AutomationDocument(msgspec.Struct):
    """What an automation keeps and nothing searches."""

    when: When
    then: Then


def newest_event(connection: Connection, kind: EventKind) -> int:
    """Number the newest event of the kind there is: what comes after it is news."""
    tables = {
        EventKind.MODEL_VERSION: schema.version_event,
        EventKind.STAGE: schema.version_event,
        EventKind.NEW_DATA: schema.feed_arrival,
    }
    table = tables.get(kind, schema.flow_run_event)
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one())


def _insert(
    store: Store,
    connection: Connection,
    name: str,
    project: str,
    when: When,
    then: Then,
    *,
    flow_id: int | None = None,
) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        msg = f"An automation needs a name of 1 to {LONGEST_NAME} characters."
        raise InvalidInputError(msg)
    check_automation(project, when, then)
    known = select(_automation.c.name).where(_automation.c.name == name)
    if connection.execute(known).first() is not None:
        msg = f"There is an automation {name!r} already. Choose another name, or delete that."
        raise ConflictError(msg)
    automation_id = uuid.uuid4().hex
    connection.execute(
        insert(_automation).values(
            automation_id=automation_id,
            name=name,
            project=project,
            flow_id=flow_id,
            event=when.event,
            document=msgspec.json.encode(AutomationDocument(when, then)).decode(),
            created_ms=store.clock(),
            seen=newest_event(connection, when.event),
        )
    )
    return automation_id


def create_automation(
    store: Store, connection: Connection, call: ops.CreateAutomation
) -> Automation:
    """Do something by itself from now on."""
    automation_id = _insert(store, connection, call.name, call.project, call.when, call.then)
    return automation_record(connection, automation_id)


def set_flow_triggers(
    store: Store,
    connection: Connection,
    flow_id: int,
    project: str,
    name: str,
    triggers: list[FlowTrigger],
) -> None:
    """Let a flow be run by these events and no others; those it had already stay as they are."""
    if len(triggers) > MOST_TRIGGERS:
        msg = f"A flow has at most {MOST_TRIGGERS} triggers."
        raise InvalidInputError(msg)
    wanted = {
        msgspec.json.encode(
            AutomationDocument(
                each.when,
                Then(action=Action.RUN, project=project, flow=name, parameters=each.parameters),
            )
        ).decode(): each
        for each in triggers
    }
    rows = connection.execute(select(_automation).where(_automation.c.flow_id == flow_id)).all()
    for row in rows:
        if row.document not in wanted:
            _delete(connection, row.automation_id)
    there = {row.document for row in rows}
    for text in wanted:
        if text not in there:
            document = msgspec.json.decode(text, type=AutomationDocument)
            own = f"{project}/{name}: {document.when.event.value} {uuid.uuid4().hex[:8]}"
            _insert(
                store, connection, own[-LONGEST_NAME:], project, document.when, document.then,
                flow_id=flow_id,
            )  # fmt: skip


def _row(connection: Connection, automation_id: str) -> Row[Any]:
    row = connection.execute(
        _selected().where(_automation.c.automation_id == automation_id)
    ).first()
    if row is None:
        msg = f"No automation {automation_id[:80]!r}. List them: `loopline automations list`."
        raise NotFoundError(msg)
    return row


def _selected() -> Any:  # noqa: ANN401 - a statement
    firings = select(func.count()).where(_firing.c.automation_id == _automation.c.automation_id)
    fired = firings.where(_firing.c.status == FiringStatus.DONE)
    held_back = firings.where(_firing.c.status == FiringStatus.HELD_BACK)
    return select(
        _automation,
        fired.scalar_subquery().label("fired"),
        held_back.scalar_subquery().label("held_back"),
        _flow.c.name.label("flow_name"),
        _flow.c.project.label("flow_project"),
    ).outerjoin(_flow, _flow.c.id == _automation.c.flow_id)


def _record(row: Row[Any]) -> Automation:
    document = msgspec.json.decode(row.document, type=AutomationDocument)
    return Automation(
        automation_id=row.automation_id,
        name=row.name,
        project=row.project,
        of_flow=f"{row.flow_project}/{row.flow_name}" if row.flow_name else "",
        when=document.when,
        then=document.then,
        is_active=bool(row.is_active),
        created_ms=row.created_ms,
        fired=row.fired,
        held_back=row.held_back,
    )


def automation_record(connection: Connection, automation_id: str) -> Automation:
    """Get an automation.

    Raises:
        NotFoundError: There is none.
    """
    return _record(_row(connection, automation_id))


def set_automation_active(
    _store: Store, connection: Connection, call: ops.SetAutomationActive
) -> Automation:
    """Switch an automation on or off; what happens while it is off is not made up for."""
    row = _row(connection, call.automation_id)
    if bool(row.is_active) is not call.active:
        connection.execute(
            update(_automation)
            .where(_automation.c.automation_id == call.automation_id)
            .values(is_active=call.active, seen=newest_event(connection, EventKind(row.event)))
        )
    return automation_record(connection, call.automation_id)


def delete_automation(
    _store: Store, connection: Connection, call: ops.DeleteAutomation
) -> Automation:
    """Do it no more, and forget what it did."""
    gone = automation_record(connection, call.automation_id)
    _delete(connection, call.automation_id)
    return gone


def _delete(connection: Connection, automation_id: str) -> None:
    connection.execute(delete(_firing).where(_firing.c.automation_id == automation_id))
    connection.execute(delete(_automation).where(_automation.c.automation_id == automation_id))


def list_automations(
    _store: Store, connection: Connection, _call: ops.ListAutomations
) -> list[Automation]:
    """List automations by name."""
    seen = only_visible(connection, Thing.PROJECT, _automation.c.project)
    rows = connection.execute(_selected().where(*seen).order_by(_automation.c.name))
    return [_record(row) for row in rows]


def list_firings(_store: Store, connection: Connection, call: ops.ListFirings) -> list[Firing]:
    """List what an automation did, newest first."""
    if not 0 < call.limit <= MOST_SHOWN:
        msg = f"limit must lie between 1 and {MOST_SHOWN:,}."
        raise InvalidInputError(msg)
    _row(connection, call.automation_id)
    rows = connection.execute(
        select(_firing)
        .where(_firing.c.automation_id == call.automation_id)
        .order_by(_firing.c.id.desc())
        .limit(call.limit)
    )
    return [
        Firing(
            automation_id=row.automation_id,
            at_ms=row.at_ms,
            status=FiringStatus(row.status),
            subject=row.subject,
            detail=row.detail,
            flow_run_id=row.flow_run_id,
        )
        for row in rows
    ]
