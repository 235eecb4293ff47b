"""Notifications: state handlers that tell people, and what they are made of.

``@task(state_handlers=[slack_notifier(only_states=[Failed])])`` posts to the webhook in the
secret ``SLACK_WEBHOOK_URL``; ``webhook_notifier`` posts JSON to any address. What cannot be told
is logged, and does not change how the task or flow ends.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.request
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopline.errors import InvalidInputError
from loopline.flows.context import get_run_logger, run_values
from loopline.flows.running.handlers import callback_factory
from loopline.flows.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.flows.running.handlers import StateHandler
    from loopline.flows.states import State

__all__ = ["callback_factory", "gmail_notifier", "slack_notifier", "webhook_notifier"]

_TIMEOUT_S = 20.0


def slack_notifier(
    ignore_states: Iterable[type[State]] | None = None,
    only_states: Iterable[type[State]] | None = None,
    webhook_secret: str = "SLACK_WEBHOOK_URL",  # noqa: S107 - a secret's name
) -> StateHandler:
    """Make a state handler that posts to Slack, or to what takes Slack's messages.

    Args:
        ignore_states: Kinds of state that nobody needs to hear of.
        only_states: The kinds to tell of, instead of all.
        webhook_secret: Name of the secret with the webhook's address.
    """

    def send(tracked: Any, state: State) -> None:  # noqa: ANN401 - a task or a flow
        post_json(
            Secret(webhook_secret).get(),
            {
                "attachments": [
                    {
                        "color": state.color,
                        "title": f"{tracked.name}: {type(state).__name__}",
                        "text": state.message or _words(tracked, state),
                        "fallback": _words(tracked, state),
                        "footer": f"flow run {run_values.get().get('flow_run_id', '')}",
                    }
                ]
            },
        )

    return _notifier(send, ignore_states, only_states)


def webhook_notifier(
    url: str = "",
    secret: str = "",
    ignore_states: Iterable[type[State]] | None = None,
    only_states: Iterable[type[State]] | None = None,
) -> StateHandler:
    """Make a state handler that posts JSON: name, state, message, flow run and time.

    Args:
        url: Where to; or
        secret: name of the secret that says it.
        ignore_states: Kinds of state that nobody needs to hear of.
        only_states: The kinds to tell of, instead of all.

    Raises:
        InvalidInputError: Neither or both are given.
    """
    if bool(url) is bool(secret):
        msg = "Give webhook_notifier either the url, or the name of the secret that has it."
        raise InvalidInputError(msg)

    def send(tracked: Any, state: State) -> None:  # noqa: ANN401 - a task or a flow
        values = run_values.get()
        post_json(
            url or Secret(secret).get(),
            {
                "name": tracked.name,
                "state": type(state).__name__,
                "message": state.message,
                "flow_name": values.get("flow_name", tracked.name),
                "flow_run_id": values.get("flow_run_id", ""),
            },
        )

    return _notifier(send, ignore_states, only_states)


def gmail_notifier(
    ignore_states: Iterable[type[State]] | None = None,
    only_states: Iterable[type[State]] | None = None,
    *,
    host: str = "smtp.gmail.com",
    port: int = 465,
) -> StateHandler:
    """Make a state handler that mails, from and to the account in the secrets.

    The secrets are ``EMAIL_USERNAME`` (the address) and ``EMAIL_PASSWORD`` (of an app, for Google).

    Args:
        ignore_states: Kinds of state that nobody needs to hear of.
        only_states: The kinds to tell of, instead of all.
        host: Mail server, reached over TLS.
        port: Its port.
    """

    def send(tracked: Any, state: State) -> None:  # noqa: ANN401 - a task or a flow
        address = Secret("EMAIL_USERNAME").get()
        mail = EmailMessage()
        mail["Subject"] = " ".join(f"{tracked.name}: {type(state).__name__}".split())
        mail["From"] = mail["To"] = address
        mail.set_content(_words(tracked, state))
        context = ssl.create_default_context()
        with smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_S, context=context) as server:
            server.login(address, Secret("EMAIL_PASSWORD").get())
            server.send_message(mail)

    return _notifier(send, ignore_states, only_states)


def post_json(url: str, body: object) -> None:
    """Post JSON to an address over HTTP.

    Raises:
        InvalidInputError: It is no address of HTTP.
        OSError: It cannot be reached, or answers with an error.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        msg = "The address to notify must begin with https:// or http://."  # It may be a secret.
        raise InvalidInputError(msg)
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - checked above
        pass


def _notifier(
    send: Callable[[Any, State], None],
    ignore_states: Iterable[type[State]] | None,
    only_states: Iterable[type[State]] | None,
) -> StateHandler:
    ignored = tuple(ignore_states or ())
    only = None if only_states is None else tuple(only_states)

    def handler(tracked: Any, _: State, new: State) -> State:  # noqa: ANN401 - a task or a flow
        if not isinstance(new, ignored) and (only is None or isinstance(new, only)):
            try:
                send(tracked, new)
            except Exception as error:  # noqa: BLE001 - a telling that fails must not fail the task
                get_run_logger().warning(
                    "Nobody could be told that %s is %s: %s.",
                    tracked.name,
                    type(new).__name__,
                    type(error).__name__,
                )
        return new

    return handler


def _words(tracked: Any, state: State) -> str:  # noqa: ANN401 - a task or a flow
    return f"{tracked.name} is now {type(state).__name__}. {state.message}".rstrip()
