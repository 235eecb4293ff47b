"""What the flow machine is told and what it says: events in, commands out."""

from __future__ import annotations

import msgspec

from loopline.records.flows import StateKind

__all__ = [
    "AskHandlers",
    "AskTrigger",
    "AwaitResume",
    "CancelRun",
    "Command",
    "EnterState",
    "Event",
    "ExpandTask",
    "Expanded",
    "FinishRun",
    "ResumeTask",
    "StartTask",
    "TaskEnded",
    "TriggerAnswered",
]


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A task, or with ``map_index`` one child of a mapped task, and something about it."""

    slug: str
    map_index: int = -1


class TaskEnded(_Message, frozen=True, gc=False):
    """Event: an attempt ended, or what ``AskHandlers`` asked about was answered.

    Attributes:
        state: A finished state, or Retrying when the task itself asks for another attempt,
            Looped when it wants its next round, Paused when it waits to be resumed.
        retry_after_s: Seconds to wait before that attempt or round, or until it resumes by
            itself; None: as the task's retries say, at once, or for somebody to resume it.
        final: Do not retry, whatever the task's retries say.
    """

    state: StateKind = StateKind.SUCCESS
    message: str = ""
    retry_after_s: float | None = None
    final: bool = False


class Expanded(_Message, frozen=True, gc=False):
    """Event: a mapped task has ``width`` children.

    Attributes:
        sources: For each upstream whose children it takes flattened: which of them each of its
            own children takes an element of.
    """

    width: int = 0
    sources: dict[str, list[int]] = {}


class TriggerAnswered(_Message, frozen=True, gc=False):
    """Event: the user's trigger lets the task run (``state`` None) or ends it in ``state``."""

    state: StateKind | None = None
    message: str = ""


class ResumeTask(_Message, frozen=True, gc=False):
    """Event: somebody lets a paused task go on."""


class CancelRun(msgspec.Struct, frozen=True, gc=False):
    """Event: nothing more shall run; whatever has not finished is cancelled."""

    reason: str = ""


class StartTask(_Message, frozen=True, gc=False):
    """Command: run the task after ``after_s`` seconds.

    Attributes:
        attempt: Counts from 1, anew in each round of a task that loops.
        is_resumed: Whether it was paused, and is let go on.
    """

    attempt: int = 1
    after_s: float = 0.0
    is_resumed: bool = False


class ExpandTask(_Message, frozen=True, gc=False):
    """Command: find how many children the mapped task has, and answer with ``Expanded``."""


class AskTrigger(_Message, frozen=True, gc=False):
    """Command: ask the user's own trigger, and answer with ``TriggerAnswered``."""

    is_resumed: bool = False


class AskHandlers(_Message, frozen=True, gc=False):
    """Command: ask the task's state handlers about a state that the machine would end it in.

    The answer is a ``TaskEnded`` with the state that they settle on.
    """

    state: StateKind = StateKind.SKIPPED
    message: str = ""


class EnterState(_Message, frozen=True, gc=False):
    """Command: record that the task entered a state other than Running.

    Attributes:
        after_s: Seconds until it goes on by itself; 0: at once, or not by itself.
    """

    state: StateKind = StateKind.SUCCESS
    message: str = ""
    attempt: int = 0
    after_s: float = 0.0


class AwaitResume(msgspec.Struct, frozen=True, gc=False):
    """Command: nothing can go on before one of these paused tasks is resumed.

    Answer with ``ResumeTask``, or let go of the run: it goes on with what was recorded.
    """

    paused: list[tuple[str, int]]


class FinishRun(msgspec.Struct, frozen=True, gc=False):
    """Command: every task has finished; the flow run ends in ``state``."""

    state: StateKind
    message: str = ""


Event = TaskEnded | Expanded | TriggerAnswered | ResumeTask | CancelRun
Command = StartTask | ExpandTask | AskTrigger | AskHandlers | EnterState | AwaitResume | FinishRun
