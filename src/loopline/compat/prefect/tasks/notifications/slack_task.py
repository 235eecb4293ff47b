"""``prefect.tasks.notifications.slack_task``."""

from __future__ import annotations

from typing import Any

from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.notifications import post_json
from loopline.flows.secrets import Secret
from loopline.flows.task import Task

__all__ = ["SlackTask"]


class SlackTask(Task):
    """Posts a message to a webhook of Slack's.

    Args:
        message: A text, or the whole payload.
        webhook_secret: Name of the secret with the webhook's address.
        **kwargs: As ``Task`` has them.
    """

    def __init__(
        self,
        message: str | dict[str, Any] | None = None,
        webhook_secret: str = "SLACK_WEBHOOK_URL",  # noqa: S107 - a secret's name
        **kwargs: Any,
    ) -> None:
        self.message = message
        self.webhook_secret = webhook_secret
        super().__init__(**kwargs)

    @defaults_from_attrs("message", "webhook_secret")
    def run(
        self,
        message: str | dict[str, Any] | None = None,
        webhook_secret: str | None = None,
        webhook_url: str | None = None,
    ) -> None:
        """Post it.

        Raises:
            ValueError: There is no message.
        """
        if not message:
            msg = "SlackTask needs a message."
            raise ValueError(msg)
        payload = {"text": message} if isinstance(message, str) else message
        post_json(webhook_url or Secret(webhook_secret or self.webhook_secret).get(), payload)
