"""Webhooks of the registry in MLflow's protocol."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.webhooks import WebhookStatus
from loopline.server.couriers import check_target
from loopline.server.mlflow.experiments import POST
from loopline.server.mlflow.models import DELETE, PATCH
from loopline.server.mlflow.requests import Call, required
from loopline.server.mlflow.rules import Rule, asks
from loopline.server.webhooks import deliver
from loopline.store.page_tokens import decode_place, encode_place, key_of, stamp_of
from loopline.store.webhooks import body_of, secret_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend
    from loopline.records.webhooks import Webhook

__all__ = ["webhook_rules"]

MOST_RESULTS = 1_000

#: What a test says of each event.
_MODEL = {"name": "example_model", "tags": {"example_key": "example_value"}}
_PLACE = {"name": "example_model", "version": "1"}
_ALIAS = {"name": "example_model", "alias": "example_alias"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "registered_model.created": {**_MODEL, "description": "An example registered model"},
    "model_version.created": {
        **_PLACE, "source": "models:/123", "run_id": "abcd1234abcd5678", "tags": _MODEL["tags"],
        "description": "An example model version",
    },
    "model_version_tag.set": {**_PLACE, "key": "example_key", "value": "example_value"},
    "model_version_tag.deleted": {**_PLACE, "key": "example_key"},
    "model_version_alias.created": {**_ALIAS, "version": "1"},
    "model_version_alias.deleted": _ALIAS,
}  # fmt: skip


class Event(Call, frozen=True, kw_only=True):
    """What happens to what, in capitals."""

    entity: str
    action: str

    def __str__(self) -> str:
        return f"{self.entity}.{self.action}".lower()


class CreateWebhook(Call, frozen=True, kw_only=True):
    """Somebody to be told."""

    name: str
    url: str
    events: list[Event] = []
    description: str = ""
    secret: str = ""
    status: str = "ACTIVE"


class WebhookId(Call, frozen=True, kw_only=True):
    """A webhook by its id."""

    webhook_id: str


class UpdateWebhook(WebhookId, frozen=True, kw_only=True):
    """What changes; what is left out stays."""

    name: str = ""
    url: str = ""
    events: list[Event] = []
    description: str | None = None
    secret: str | None = None
    status: str = ""


class TryWebhook(WebhookId, frozen=True, kw_only=True):
    """An event to try it with."""

    event: Event | None = None


class ListWebhooks(Call, frozen=True, kw_only=True):
    """Webhooks by pages."""

    max_results: int = 0
    page_token: str = ""


def _answer(webhook: Webhook) -> dict[str, Any]:
    answer = {
        "webhook_id": webhook.webhook_id,
        "name": webhook.name,
        "description": webhook.description,
        "url": webhook.url,
        "events": [
            {"entity": entity.upper(), "action": action.upper()}
            for entity, _, action in (event.partition(".") for event in webhook.events)
        ],
        "status": webhook.status.value,
        "creation_timestamp": webhook.created_ms,
        "last_updated_timestamp": webhook.updated_ms,
    }
    return {key: value for key, value in answer.items() if value}


def _status(text: str) -> WebhookStatus:
    try:
        return WebhookStatus(text.upper())
    except ValueError:
        known = ", ".join(WebhookStatus)
        msg = f"Invalid value {text[:80]} for parameter 'status' supplied: use one of {known}."
        raise InvalidInputError(msg) from None


def _check(url: str, *, allow_private: bool) -> None:
    try:
        check_target(url, allow_private=allow_private)
    except (OSError, UnicodeError):
        msg = f"Cannot resolve the host of the webhook URL {url[:200]!r}. Give one that is known."
        raise InvalidInputError(msg) from None


def _create(backend: Backend, call: CreateWebhook, *, allow_private: bool) -> dict[str, Any]:
    if not call.events:
        required("events", "")
    asked = ops.CreateWebhook(
        name=required("name", call.name),
        url=required("url", call.url),
        events=[str(event) for event in call.events],
        description=call.description,
        secret=call.secret,
        status=_status(call.status),
    )
    _check(call.url, allow_private=allow_private)
    return {"webhook": _answer(backend.call(asked))}


def _update(backend: Backend, call: UpdateWebhook, *, allow_private: bool) -> dict[str, Any]:
    if call.url:
        _check(call.url, allow_private=allow_private)
    asked = ops.UpdateWebhook(
        webhook_id=call.webhook_id,
        name=call.name or None,
        url=call.url or None,
        events=[str(event) for event in call.events] or None,
        description=call.description,
        secret=call.secret,
        status=_status(call.status) if call.status else None,
    )
    return {"webhook": _answer(backend.call(asked))}


def _get(backend: Backend, call: WebhookId) -> dict[str, Any]:
    return {"webhook": _answer(backend.call(ops.GetWebhook(webhook_id=call.webhook_id)))}


def _delete(backend: Backend, call: WebhookId) -> dict[str, Any]:
    backend.call(ops.DeleteWebhook(webhook_id=call.webhook_id))
    return {}


def _list(backend: Backend, call: ListWebhooks) -> dict[str, Any]:
    most = call.max_results or MOST_RESULTS
    if not 0 < most <= MOST_RESULTS:
        msg = f"max_results must be between 1 and {MOST_RESULTS}."
        raise InvalidInputError(msg)
    every = backend.call(ops.ListWebhooks())
    ids = [webhook.webhook_id for webhook in every]
    start = 0
    assert isinstance(backend, LocalBackend)  # noqa: S101 - a server serves a store
    key, stamp = key_of(backend.store), stamp_of("webhooks")
    if call.page_token:
        (last,) = decode_place(key, call.page_token, stamp, 1)
        if last not in ids:
            msg = "The page token's webhook is gone. List them again from the first page."
            raise InvalidInputError(msg)
        start = ids.index(last) + 1
    page = every[start : start + most]
    is_last = start + len(page) >= len(every)
    return {
        "webhooks": [_answer(webhook) for webhook in page],
        "next_page_token": "" if is_last else encode_place(key, stamp, (page[-1].webhook_id,)),
    }


def _try(backend: Backend, call: TryWebhook, *, allow_private: bool) -> dict[str, Any]:
    webhook = backend.call(ops.GetWebhook(webhook_id=call.webhook_id))
    event = str(call.event) if call.event is not None else webhook.events[0]
    if event not in EXAMPLES:
        msg = f"Invalid event '{event[:80]}'. Valid ones are: {', '.join(EXAMPLES)}."
        raise InvalidInputError(msg)
    assert isinstance(backend, LocalBackend)  # noqa: S101 - a server serves a store
    body = body_of(event, EXAMPLES[event], time.time_ns() // 1_000_000)
    outcome = deliver(
        webhook.url,
        secret_of(backend.store, webhook.webhook_id),
        str(uuid.uuid4()),
        body,
        allow_private=allow_private,
    )
    result: dict[str, Any] = {"success": not outcome.error}
    if outcome.status > 0:
        result |= {"response_status": outcome.status, "response_body": outcome.answer}
    else:
        result["error_message"] = f"Failed to test webhook: {outcome.error}"
    return {"result": result}


def webhook_rules(*, allow_private: bool = False) -> list[Rule]:
    """Make the rules of a server that may, or may not, call addresses of its own network."""

    def reaching(answer: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        return lambda backend, call: answer(backend, call, allow_private=allow_private)

    one = "webhooks/{webhook_id}"
    return [
        asks("webhooks", CreateWebhook, reaching(_create), methods=POST, permission="admin"),
        asks("webhooks", ListWebhooks, _list, permission="admin"),
        asks(one, WebhookId, _get, permission="admin"),
        asks(one, UpdateWebhook, reaching(_update), methods=PATCH, permission="admin"),
        asks(one, WebhookId, _delete, methods=DELETE, permission="admin"),
        asks(f"{one}/test", TryWebhook, reaching(_try), methods=POST, permission="admin"),
    ]
