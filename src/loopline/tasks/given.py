"""What tasks of the library share: arguments given early or late, and pauses that can be ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from loopline.flows.task import Task

__all__ = ["needed", "pause"]

T = TypeVar("T")

#: A thread that waits in C is not told that its task is late.
_NAP_S = 0.1


def needed(task: Task, name: str, late: T | None, early: T | None) -> T:
    """Return the argument given to ``run``, or else to the constructor.

    Raises:
        TypeError: Neither was given.
    """
    value = early if late is None else late
    if value is None:
        msg = (
            f"Task {task.name!r} needs {name}: give it to {type(task).__name__}({name}=...), or "
            "when the task is called in the flow."
        )
        raise TypeError(msg)
    return value


def pause(seconds: float) -> None:
    """Wait in short naps, so that a task that is late can be ended meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _NAP_S))
