"""Webhooks: who is told of what happens in the registry, and how the telling went."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = [
    "CreateWebhook",
    "DeleteWebhook",
    "DeliveryStatus",
    "GetWebhook",
    "ListWebhookDeliveries",
    "ListWebhooks",
    "UpdateWebhook",
    "Webhook",
    "WebhookDelivery",
    "WebhookStatus",
]


class WebhookStatus(StrEnum):
    """Whether a webhook is told of events."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class DeliveryStatus(StrEnum):
    """How far the telling of one event is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(Record, frozen=True, kw_only=True):
    """Somebody who is told of events. Its secret is never answered.

    Attributes:
        url: Where events are posted to.
        events: Such as ``"model_version.created"``; sorted.
        has_secret: Whether what is posted is signed.
    """

    webhook_id: str
    name: str
    url: str
    description: str = ""
    events: list[str] = []
    status: WebhookStatus = WebhookStatus.ACTIVE
    has_secret: bool = False
    created_ms: int = 0
    updated_ms: int = 0


class WebhookDelivery(Record, frozen=True, kw_only=True):
    """The telling of one event to one webhook.

    Attributes:
        delivery_id: The same in every try, so that a receiver can tell a second one.
        tries: How often it was posted.
        answer_status: HTTP status of the last answer; 0: none came.
        error: Why the last try failed.
        due_ms: When it is tried next, while it waits.
    """

    delivery_id: str
    webhook_id: str
    event: str
    status: DeliveryStatus
    tries: int = 0
    answer_status: int = 0
    error: str = ""
    at_ms: int = 0
    due_ms: int = 0


class CreateWebhook(Operation[Webhook], frozen=True, kw_only=True):
    """Tell somebody of events from now on."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
    url: str
    events: list[str]
    description: str = ""
    secret: str = ""
    status: WebhookStatus = WebhookStatus.ACTIVE


class UpdateWebhook(Operation[Webhook], frozen=True, kw_only=True):
    """Change a webhook; what is not given stays."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    webhook_id: str
    name: str | None = None
    url: str | None = None
    events: list[str] | None = None
    description: str | None = None
    secret: str | None = None
    status: WebhookStatus | None = None


class DeleteWebhook(Operation[Webhook], frozen=True, kw_only=True):
    """Delete a webhook and what it was not told yet; answers it as it was."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    webhook_id: str


class GetWebhook(Operation[Webhook], frozen=True, kw_only=True):
    """Get a webhook."""

    permission: ClassVar[str] = "admin"
    webhook_id: str


class ListWebhooks(Operation[list[Webhook]], frozen=True, kw_only=True):
    """List all webhooks, the oldest first."""

    permission: ClassVar[str] = "admin"


class ListWebhookDeliveries(Operation[list[WebhookDelivery]], frozen=True, kw_only=True):
    """List what a webhook was told and is still to be told, the newest 1,000 first."""

    permission: ClassVar[str] = "admin"
    webhook_id: str
