"""States as a user sees them: what ``flow.run()`` returns and a trigger is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from loopline.flows.results import Result
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Cached",
    "Cancelled",
    "Failed",
    "Mapped",
    "Paused",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "Skipped",
    "State",
    "Submitted",
    "Success",
    "TimedOut",
    "TriggerFailed",
    "make_state",
]


class State:
    """Where a flow run or a task run stands, and what came of it.

    Attributes:
        message: Why it is in this state, in words.
        map_states: Of a mapped task: the states of its children, in order.
    """

    __slots__ = ("_result", "map_states", "message")

    kind: ClassVar[StateKind]

    def __init__(
        self, message: str = "", result: object = None, map_states: Sequence[State] = ()
    ) -> None:
        self.message = message
        self._result = result
        self.map_states = list(map_states)

    @property
    def result(self) -> Any:  # noqa: ANN401 - whatever the task returned
        """The task's value, the exception of a failed one; of a flow run: task → state.

        A result of an earlier worker is read from the blob store when first asked for.
        """
        if self.map_states:
            return [state.result for state in self.map_states]
        if isinstance(self._result, Result):
            return self._result.value
        return self._result

    @property
    def stored(self) -> object:
        """The result as it is held, perhaps not yet read."""
        return self._result

    def is_pending(self) -> bool:
        """Whether it has not started, or waits to start again."""
        return self.kind in {StateKind.PENDING, StateKind.SCHEDULED, StateKind.RETRYING}

    def is_scheduled(self) -> bool:
        """Whether it waits for a time."""
        return self.kind in {StateKind.SCHEDULED, StateKind.RETRYING}

    def is_submitted(self) -> bool:
        """Whether it waits for a free worker."""
        return self.kind is StateKind.SUBMITTED

    def is_running(self) -> bool:
        """Whether it is running now."""
        return self.kind is StateKind.RUNNING

    def is_retrying(self) -> bool:
        """Whether it failed and will be tried again."""
        return self.kind is StateKind.RETRYING

    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.kind.is_finished

    def is_successful(self) -> bool:
        """Whether it ended well; a skipped task did."""
        return self.kind.is_successful

    def is_failed(self) -> bool:
        """Whether it ended badly."""
        return self.kind.is_failed

    def is_skipped(self) -> bool:
        """Whether it was skipped."""
        return self.kind is StateKind.SKIPPED

    def is_mapped(self) -> bool:
        """Whether it stands for the children of a mapped task."""
        return self.kind is StateKind.MAPPED

    def is_cached(self) -> bool:
        """Whether an earlier result was used again."""
        return self.kind is StateKind.CACHED

    def is_cancelled(self) -> bool:
        """Whether somebody stopped it."""
        return self.kind is StateKind.CANCELLED

    def __repr__(self) -> str:
        return f"<{self.kind}: {self.message!r}>" if self.message else f"<{self.kind}>"

    def __eq__(self, other: object) -> bool:
        """Same kind of state with the same result; messages do not count."""
        if not isinstance(other, State):
            return NotImplemented
        return self.kind is other.kind and bool(self.result == other.result)

    def __hash__(self) -> int:
        return id(self)


class Pending(State):
    """Not started."""

    __slots__ = ()
    kind = StateKind.PENDING


class Scheduled(Pending):
    """Waits for a time."""

    __slots__ = ()
    kind = StateKind.SCHEDULED


class Paused(Scheduled):
    """Waits for somebody."""

    __slots__ = ()
    kind = StateKind.PAUSED


class Retrying(Scheduled):
    """Failed, and will be tried again."""

    __slots__ = ()
    kind = StateKind.RETRYING


class Submitted(State):
    """Waits for a free worker."""

    __slots__ = ()
    kind = StateKind.SUBMITTED


class Running(State):
    """Is running."""

    __slots__ = ()
    kind = StateKind.RUNNING


class Success(State):
    """Ended well."""

    __slots__ = ()
    kind = StateKind.SUCCESS


class Cached(Success):
    """An earlier result was used again."""

    __slots__ = ()
    kind = StateKind.CACHED


class Mapped(Success):
    """Stands for the children of a mapped task."""

    __slots__ = ()
    kind = StateKind.MAPPED


class Skipped(Success):
    """Was not needed."""

    __slots__ = ()
    kind = StateKind.SKIPPED


class Failed(State):
    """Ended badly."""

    __slots__ = ()
    kind = StateKind.FAILED


class TimedOut(Failed):
    """Ran longer than its timeout."""

    __slots__ = ()
    kind = StateKind.TIMED_OUT


class TriggerFailed(Failed):
    """Was not run, because of how the tasks before it ended."""

    __slots__ = ()
    kind = StateKind.TRIGGER_FAILED


class Cancelled(Failed):
    """Was stopped."""

    __slots__ = ()
    kind = StateKind.CANCELLED


_CLASSES: dict[StateKind, type[State]] = {
    cls.kind: cls
    for cls in (
        Pending,
        Scheduled,
        Paused,
        Retrying,
        Submitted,
        Running,
        Success,
        Cached,
        Mapped,
        Skipped,
        Failed,
        TimedOut,
        TriggerFailed,
        Cancelled,
    )
}


def make_state(
    kind: StateKind, message: str = "", result: object = None, map_states: Sequence[State] = ()
) -> State:
    """Make the state of a kind."""
    return _CLASSES[kind](message, result, map_states)
