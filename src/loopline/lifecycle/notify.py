"""Notifications: a person is told, and what they were told is on record."""

from __future__ import annotations

import sys

from loopline.backend.recorder import get_recorder
from loopline.records.facts import TagsSet

__all__ = ["NOTIFICATION_TAG", "notify"]

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
