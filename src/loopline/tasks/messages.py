"""Messages to people as a task: e-mail, Slack, Teams, webhooks and more, through Apprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.flows.signals import FAIL
from loopline.flows.task import Task
from loopline.settings import expanded
from loopline.tasks.given import needed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SendMessage"]


class SendMessage(Task):
    """Tell people something.

    Args:
        to: Addresses in Apprise's form, such as ``"slack://${SLACK_TOKEN}/#models"``,
            ``"mailtos://user:${MAIL_PASSWORD}@example.com?to=team@example.com"`` or
            ``"jsons://example.com/hook"``; ``${NAME}`` stands for an environment variable where the
            task runs, so that tokens stay out of the flow.
        title: The subject.
        message: What is said, unless it is given when the task is called.
        **options: As ``Task`` has them, such as ``max_retries``.
    """

    def __init__(
        self,
        to: str | Sequence[str],
        *,
        title: str = "",
        message: str | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.to = [to] if isinstance(to, str) else list(to)
        self.title = title
        self.message = message
        super().__init__(**options)

    def run(
        self,
        message: str | None = None,
        title: str | None = None,
        attachments: Sequence[str] | None = None,
    ) -> None:
        """Send it to all addresses.

        Args:
            message: What is said.
            title: The subject.
            attachments: Paths of files, for services that take them.

        Raises:
            FAIL: It did not reach all; who got it gets it again if the task is tried again.
            InvalidInputError: An address is none of Apprise's.
            MissingExtraError: Apprise is not installed.
        """
        try:
            import apprise
        except ImportError:
            raise MissingExtraError("apprise", extra="messages", purpose="SendMessage") from None
        message = needed(self, "message", message, self.message)
        sender: Any = apprise.Apprise()
        for number, address in enumerate(self.to, 1):
            if not sender.add(expanded(address)):
                kind = address.partition("://")[0]
                msg = (
                    f"Address {number} of {self.name!r} ({kind}://…) is none that Apprise knows. "
                    "Its documentation lists their forms."
                )
                raise InvalidInputError(msg)
        sent = sender.notify(
            body=message,
            title=self.title if title is None else title,
            attach=list(attachments) if attachments else None,
        )
        if not sent:
            msg = f"The message did not reach all of {len(self.to)} addresses; the log says why."
            raise FAIL(msg)
