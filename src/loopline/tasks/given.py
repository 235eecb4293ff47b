"""What tasks of the library share: arguments given early or late, and pauses that can be ended."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, TypeVar

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.flows.task import Task

__all__ = ["expanded", "needed", "pause"]

T = TypeVar("T")

_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)

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


def expanded(text: str) -> str:
    """Put environment variables in the place of each ``${NAME}``, where the task runs.

    Passwords thus stay out of the flow's code, its graph and its log.

    Raises:
        InvalidInputError: A variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            msg = (
                f"The environment variable {name} is not set where the task runs. Set it for the "
                "worker, or for the process that calls flow.run()."
            )
            raise InvalidInputError(msg)
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def pause(seconds: float) -> None:
    """Wait in short naps, so that a task that is late can be ended meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _NAP_S))
