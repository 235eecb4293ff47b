"""What comes of an attempt of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loopline.backend.context import TaskContext
    from loopline.flows.running.results import Result
    from loopline.records.flows import StateKind

__all__ = ["Notes", "Outcome"]


class Notes(NamedTuple):
    """What is to be known of an attempt of a task with options.

    Attributes:
        location: Where the result is kept, when the task's author chose that.
        is_handled: Whether the task's state handlers have heard of it.
    """

    location: str = ""
    is_handled: bool = False


class Outcome(NamedTuple):
    """What came of an attempt.

    Attributes:
        state: A finished state, or Retrying, Looped or Paused when the task asked for that.
        result: The value or the exception.
        retry_after_s: Of one that goes on: seconds to wait; None: as the task's retries say.
        final: Do not retry.
        notes: Of a task with options.
    """

    where: TaskContext
    attempt: int
    state: StateKind
    message: str
    result: Result
    retry_after_s: float | None = None
    final: bool = False
    notes: Notes | None = None
