"""Pausing from inside a task."""

from __future__ import annotations

from loopline.flows.context import context
from loopline.flows.signals import PAUSE

__all__ = ["pause_task"]


def pause_task(message: str | None = None) -> None:
    """Wait here for somebody to resume the task; when it is, the task runs from its start.

    Raises:
        PAUSE: It has not been resumed.
    """
    if not context.get("resume"):
        raise PAUSE(message or "It waits for somebody to resume it.")
