"""Notifications: a person is told, and what they were told is on record."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.records.decisions import DecisionStatus
from loopline.records.facts import TagsSet
from loopline.settings import expanded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.decisions import KeptDecision

__all__ = ["NOTIFICATION_TAG", "notify", "tell"]

log = logging.getLogger("loopline.lifecycle")

#: Tag of a run under which the last notification about it is kept.
NOTIFICATION_TAG = "loopline.notification"


def notify(message: str, *, run_id: str = "") -> None:
    """Tell people something: a line on standard output, and a tag on the run it is about.

    In a task with ``log_stdout=True`` the line is in the flow run's log as well. Nothing leaves
    this machine.

    Args:
        message: One line.
        run_id: The run it is about; empty: none.
    """
    sys.stdout.write(f"{message}\n")
    if run_id:
        get_recorder().record(TagsSet(run_id=run_id, tags={NOTIFICATION_TAG: message}))


def tell(addresses: Sequence[str], message: str, *, decision: KeptDecision | None = None) -> None:
    """Tell people through Apprise, with the way to answer a decision that waits for them.

    Who cannot be reached is named in the log: what was decided stands all the same.

    Args:
        addresses: In Apprise's form, such as ``"slack://${SLACK_TOKEN}/#models"``; ``${NAME}``
            stands for an environment variable.
        message: What is said.
        decision: What it is about.
    """
    if not addresses:
        return
    try:
        import apprise
    except ImportError:
        log.warning("Nobody was told: install loopline[messages] for a policy's notify=.")
        return
    sender: Any = apprise.Apprise()
    for number, address in enumerate(addresses, 1):
        if not sender.add(expanded(address)):
            log.warning("Address %d of the policy is none that Apprise knows.", number)
    if decision is not None and decision.status is DecisionStatus.WAITING:
        message += f"\nSay yes or no: {_place(decision)}"
    if not sender.notify(body=message):
        log.warning("The message did not reach all of %d addresses.", len(addresses))


def _place(decision: KeptDecision) -> str:
    """Tell where a decision is answered: its page on a server, or else a command."""
    address = get_recorder().backend.address
    if address.kind == "http":
        return f"{address.text}/decisions/{decision.decision_id}"
    return f"loopline decisions approve {decision.decision_id[:8]} --reason '…'"
