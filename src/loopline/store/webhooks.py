"""Webhooks in the store, and the outbox of what they are told.

An event and the deliveries of it are one transaction: whoever was answered that a version is
registered has everybody told, although the server be killed in the next moment.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, select, update

from loopline.errors import NotFoundError
from loopline.records import operations as ops
from loopline.records.webhooks import DeliveryStatus, Webhook, WebhookDelivery, WebhookStatus
from loopline.rules.names import check_text
from loopline.rules.webhooks import (
    MOST_TRIES,
    check_events,
    check_webhook_name,
    check_webhook_url,
    is_retried,
)
from loopline.store import schema
from loopline.store.sealing import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from loopline.records.operations import Operation
    from loopline.store.database import Store

__all__ = [
    "WEBHOOKS",
    "Due",
    "announce",
    "body_of",
    "create_webhook",
    "delete_webhook",
    "get_webhook",
    "list_webhook_deliveries",
    "list_webhooks",
    "open_secret",
    "secret_of",
    "settle",
    "take_due",
    "update_webhook",
    "webhook_record",
]

#: Commands that the audit log tells of although the store's owner gives them without a server:
#: from then on servers tell others what happens here.
WEBHOOKS: frozenset[type[Operation[Any]]] = frozenset(
    {ops.CreateWebhook, ops.UpdateWebhook, ops.DeleteWebhook}
)

_webhook = schema.webhook
_delivery = schema.webhook_delivery

#: For how long a delivery belongs to who took it; longer than any try lasts.
LEASE_MS = 60_000
#: How long it is shown what was delivered.
KEEP_MS = 7 * 24 * 3600 * 1000
MOST_SHOWN = 1_000
MOST_ERROR = 500
MOST_SECRET = 4_096

#: An event and what is said of it.
Said = tuple[str, dict[str, Any]]


def _of_version(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - a model version
    return {
        "name": answer.name,
        "version": str(answer.version),
        "source": answer.source or f"runs:/{answer.run_id}/{answer.artifact_path}",
        "run_id": answer.run_id or None,
        "tags": answer.tags,
        "description": answer.description or None,
    }


def _version_tags(call: Any, _answer: object) -> list[Said]:  # noqa: ANN401 - an operation
    place = {"name": call.name, "version": str(call.version)}
    return [
        ("model_version_tag.set", {**place, "key": key, "value": value})
        for key, value in call.tags.items()
    ]


#: What each operation has to tell, by itself and its answer.
TELLING: dict[type, Callable[[Any, Any], list[Said]]] = {
    ops.CreateModel: lambda _call, answer: [
        ("registered_model.created",
         {"name": answer.name, "tags": answer.tags, "description": answer.description or None}),
    ],
    ops.RegisterVersion: lambda _call, answer: [("model_version.created", _of_version(answer))],
    ops.CopyVersion: lambda _call, answer: [("model_version.created", _of_version(answer))],
    ops.SetVersionTags: _version_tags,
    ops.RemoveVersionTag: lambda call, _answer: [
        ("model_version_tag.deleted",
         {"name": call.name, "version": str(call.version), "key": call.key}),
    ],
    ops.SetAlias: lambda call, _answer: [
        ("model_version_alias.created",
         {"name": call.name, "alias": call.alias, "version": str(call.version)}),
    ],
    ops.RemoveAlias: lambda call, _answer: [
        ("model_version_alias.deleted", {"name": call.name, "alias": call.alias}),
    ],
}  # fmt: skip


def announce(store: Store, connection: Connection, call: object, answer: object) -> None:
    """Put what an operation did into the outbox of every webhook that wants to know."""
    telling = TELLING.get(type(call))
    if telling is None:
        return
    active = connection.execute(
        select(_webhook.c.webhook_id, _webhook.c.events).where(
            _webhook.c.status == WebhookStatus.ACTIVE
        )
    ).all()
    if not active:
        return
    now_ms = store.clock()
    rows = [
        {
            "delivery_id": str(uuid.uuid4()),
            "webhook_id": row.webhook_id,
            "event": event,
            "body": body_of(event, data, now_ms),
            "status": DeliveryStatus.WAITING,
            "at_ms": now_ms,
            "due_ms": now_ms,
        }
        for event, data in [*_of_new_model(connection, call, answer), *telling(call, answer)]
        for row in active
        if event in row.events.split()
    ]
    if rows:
        connection.execute(insert(_delivery), rows)


def _of_new_model(connection: Connection, call: object, answer: Any) -> list[Said]:  # noqa: ANN401
    """Tell of a model that its first version made: nobody has made it before, as a command."""
    if not isinstance(call, ops.RegisterVersion | ops.CopyVersion) or answer.version != 1:
        return []
    event, model = schema.version_event, schema.model
    made = (
        select(event.c.name)
        .join(model, model.c.name == event.c.name)
        .where(
            event.c.name == answer.name,
            event.c.version == 0,
            event.c.kind == "created",
            event.c.at_ms >= model.c.created_ms,  # Not another of the name, gone since.
        )
    )
    if connection.execute(made.limit(1)).first() is not None:
        return []
    said = {"name": answer.name, "tags": {}, "description": None}
    return [("registered_model.created", said)]


def body_of(event: str, data: dict[str, Any], at_ms: int) -> str:
    """Write what is posted."""
    entity, _, action = event.partition(".")
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="microseconds")
    said = {"entity": entity, "action": action, "timestamp": at, "data": data}
    return msgspec.json.encode(said).decode()


def _record(row: Row[Any]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        name=row.name,
        url=row.url,
        description=row.description,
        events=row.events.split(),
        status=WebhookStatus(row.status),
        has_secret=bool(row.secret),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
    )


def _found(connection: Connection, webhook_id: str) -> Row[Any]:
    row = connection.execute(select(_webhook).where(_webhook.c.webhook_id == webhook_id)).first()
    if row is None:
        msg = (
            f"Webhook with ID {webhook_id[:80]} not found. List them with `loopline webhooks list`."
        )
        raise NotFoundError(msg)
    return row


def create_webhook(store: Store, connection: Connection, call: ops.CreateWebhook) -> Webhook:
    """Tell somebody of events from now on."""
    check_webhook_name(call.name)
    check_webhook_url(call.url)
    events = check_events(call.events)
    webhook_id, now_ms = str(uuid.uuid4()), store.clock()
    connection.execute(
        insert(_webhook).values(
            webhook_id=webhook_id,
            name=call.name,
            url=call.url,
            description=call.description,
            events=" ".join(events),
            secret=_seal(store, connection, webhook_id, call.secret),
            status=call.status,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
    )
    return _record(_found(connection, webhook_id))


def update_webhook(store: Store, connection: Connection, call: ops.UpdateWebhook) -> Webhook:
    """Change a webhook."""
    _found(connection, call.webhook_id)
    values: dict[str, Any] = {
        name: getattr(call, name)
        for name in ("name", "url", "description", "status")
        if getattr(call, name) is not None
    }
    if call.name is not None:
        check_webhook_name(call.name)
    if call.url is not None:
        check_webhook_url(call.url)
    if call.secret is not None:
        values["secret"] = _seal(store, connection, call.webhook_id, call.secret)
    if call.events is not None:
        values["events"] = " ".join(check_events(call.events))
    connection.execute(
        update(_webhook)
        .where(_webhook.c.webhook_id == call.webhook_id)
        .values(**values, updated_ms=store.clock())
    )
    return _record(_found(connection, call.webhook_id))


def delete_webhook(_store: Store, connection: Connection, call: ops.DeleteWebhook) -> Webhook:
    """Delete a webhook and its outbox."""
    record = _record(_found(connection, call.webhook_id))
    connection.execute(delete(_delivery).where(_delivery.c.webhook_id == call.webhook_id))
    connection.execute(delete(_webhook).where(_webhook.c.webhook_id == call.webhook_id))
    return record


def webhook_record(connection: Connection, webhook_id: str) -> Webhook:
    """Get a webhook, without its secret.

    Raises:
        NotFoundError: There is none.
    """
    return _record(_found(connection, webhook_id))


def get_webhook(_store: Store, connection: Connection, call: ops.GetWebhook) -> Webhook:
    """Get a webhook."""
    return _record(_found(connection, call.webhook_id))


def list_webhooks(_store: Store, connection: Connection, _call: ops.ListWebhooks) -> list[Webhook]:
    """List webhooks, the oldest first."""
    order = (_webhook.c.created_ms, _webhook.c.webhook_id)
    return [_record(row) for row in connection.execute(select(_webhook).order_by(*order))]


def list_webhook_deliveries(
    _store: Store, connection: Connection, call: ops.ListWebhookDeliveries
) -> list[WebhookDelivery]:
    """List deliveries of a webhook, the newest first."""
    _found(connection, call.webhook_id)
    rows = connection.execute(
        select(_delivery)
        .where(_delivery.c.webhook_id == call.webhook_id)
        .order_by(_delivery.c.id.desc())
        .limit(MOST_SHOWN)
    )
    return [
        WebhookDelivery(
            delivery_id=row.delivery_id,
            webhook_id=row.webhook_id,
            event=row.event,
            status=DeliveryStatus(row.status),
            tries=row.tries,
            answer_status=row.answer_status,
            error=row.error,
            at_ms=row.at_ms,
            due_ms=row.due_ms,
        )
        for row in rows
    ]


def secret_of(store: Store, webhook_id: str) -> str:
    """Get the secret of a webhook: for who signs, and for no answer."""
    with store.read() as connection:
        return open_secret(store, webhook_id, _found(connection, webhook_id).secret)


def open_secret(store: Store, webhook_id: str, sealed: str) -> str:
    """Open the secret of a webhook as it lies in the database; empty: it has none.

    Raises:
        ConflictError: The key that it was sealed with is not here.
        IntegrityError: It was changed, or is another's.
    """
    return unseal(store, f"webhook {webhook_id}", sealed) if sealed else ""


def _seal(store: Store, connection: Connection, webhook_id: str, secret: str) -> str:
    check_text("secret of the webhook", secret, MOST_SECRET)
    return seal(store, connection, f"webhook {webhook_id}", secret) if secret else ""


class Due(NamedTuple):
    """A delivery that whoever has it is to try now.

    Attributes:
        sealed: The secret of its webhook as it lies in the database.
    """

    id: int
    delivery_id: str
    webhook_id: str
    url: str
    sealed: str
    body: str
    tries: int


def take_due(store: Store, most: int) -> list[Due]:
    """Take deliveries whose time has come, the oldest first; nobody else gets them for a minute."""
    now_ms = store.clock()
    is_due = (_delivery.c.status == DeliveryStatus.WAITING) & (_delivery.c.due_ms <= now_ms)
    ids = select(_delivery.c.id).where(is_due).order_by(_delivery.c.due_ms, _delivery.c.id)
    with store.read() as connection:  # Mostly there is none, and writers are not disturbed.
        if connection.execute(ids.limit(1)).first() is None:
            return []
    with store.write() as connection:
        taken = list(connection.execute(ids.limit(most)).scalars())
        mine = []
        for each in taken:
            moved = connection.execute(
                update(_delivery)
                .where(_delivery.c.id == each, is_due)
                .values(due_ms=now_ms + LEASE_MS, tries=_delivery.c.tries + 1)
            )
            if moved.rowcount:
                mine.append(each)
        rows = connection.execute(
            select(_delivery, _webhook.c.url, _webhook.c.secret)
            .join(_webhook, _webhook.c.webhook_id == _delivery.c.webhook_id)
            .where(_delivery.c.id.in_(mine))
            .order_by(_delivery.c.id)
        ).all()
    return [Due(r.id, r.delivery_id, r.webhook_id, r.url, r.secret, r.body, r.tries) for r in rows]


def settle(store: Store, due: Due, *, status: int, error: str, again_ms: int) -> None:
    """Write down how a try went.

    Args:
        store: The store.
        due: What was tried.
        status: HTTP status of the answer; 0: none came; -1: it must not be tried at all.
        error: Why it failed; empty: it came off.
        again_ms: How long to wait before the next try, if there is one.
    """
    now_ms = store.clock()
    values: dict[str, Any] = {"answer_status": max(status, 0), "error": error[:MOST_ERROR]}
    if not error:
        values["status"] = DeliveryStatus.DELIVERED
    elif not is_retried(status) or due.tries >= MOST_TRIES:
        values["status"] = DeliveryStatus.FAILED
    else:
        values["due_ms"] = now_ms + again_ms
    with store.write() as connection:
        connection.execute(update(_delivery).where(_delivery.c.id == due.id).values(**values))
        connection.execute(
            delete(_delivery).where(
                _delivery.c.status == DeliveryStatus.DELIVERED,
                _delivery.c.at_ms < now_ms - KEEP_MS,
            )
        )
