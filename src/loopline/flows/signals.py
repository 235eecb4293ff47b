"""Signals: raised in a task, a trigger or a state handler to end it in a state of one's choice.

They do not derive from ``Exception``, so that a task's own ``except Exception`` lets them pass.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from loopline.errors import InvalidInputError
from loopline.flows import states
from loopline.records.flows import StateKind

__all__ = [
    "ENDRUN",
    "FAIL",
    "LOOP",
    "PAUSE",
    "RETRY",
    "SKIP",
    "SUCCESS",
    "TRIGGERFAIL",
    "VALIDATIONFAIL",
    "Signal",
    "signal_from_state",
]


class Signal(BaseException):
    """Base of the signals.

    Args:
        message: Why.
        result: The task's result.
        **options: What its kind of state takes beside that.

    Attributes:
        kind: State the task ends in.
    """

    kind: ClassVar[StateKind]

    def __init__(self, message: str | None = None, result: object = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(message or "")
        self.message = message or ""
        self.result = result
        self.options = options

    @property
    def state(self) -> states.State:
        """The state the task ends in."""
        return states.CLASSES[self.kind](self.message, self.result, **self.options)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.result), self.__dict__)


class SUCCESS(Signal):
    """The task is done."""

    kind = StateKind.SUCCESS


class SKIP(Signal):
    """The task is not needed; by default the tasks after it are skipped, too."""

    kind = StateKind.SKIPPED


class FAIL(Signal):
    """The task failed; its retries apply."""

    kind = StateKind.FAILED


class TRIGGERFAIL(FAIL):
    """Raised in a trigger: the task shall not run."""

    kind = StateKind.TRIGGER_FAILED


class VALIDATIONFAIL(FAIL):
    """What the task made was found wanting; it is not tried again."""

    kind = StateKind.VALIDATION_FAILED


class _Timed(Signal):
    """A signal with a time.

    Args:
        message: Why.
        result: The task's result.
        start_time: When to go on; without an offset in UTC.
        after: How long to wait, instead of ``start_time``.
        **options: What its kind of state takes beside that.
    """

    def __init__(
        self,
        message: str | None = None,
        result: object = None,
        *,
        start_time: datetime | None = None,
        after: timedelta | None = None,
        **options: Any,  # noqa: ANN401 - as the state
    ) -> None:
        super().__init__(message, result, **options)
        self.start_time = start_time
        self.after = after

    @property
    def state(self) -> states.State:
        """The state the task ends in."""
        start = self.start_time
        if self.after is not None:
            start = datetime.now(UTC) + self.after
        made = states.CLASSES[self.kind]
        return made(self.message, self.result, start_time=start, **self.options)  # type: ignore[call-arg]

    def delay_s(self, now: datetime) -> float | None:
        """Tell how many seconds after ``now`` to go on; None: as the task says."""
        if self.after is not None:
            return max(self.after.total_seconds(), 0.0)
        return None if self.start_time is None else seconds_until(self.start_time, now)


def seconds_until(at: datetime, now: datetime) -> float:
    """Count the seconds from ``now`` to a time, which without an offset is in UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)


class RETRY(_Timed):
    """Try the task again, whatever its number of retries; without a time after its own delay."""

    kind = StateKind.RETRYING


class PAUSE(_Timed):
    """Wait for somebody to resume the task, or until a time; then it runs from its start."""

    kind = StateKind.PAUSED


class LOOP(Signal):
    """Run the task again at once, with ``context.task_loop_result`` and ``task_loop_count``."""

    kind = StateKind.LOOPED


class ENDRUN(Signal):
    """End the task in the state given."""

    kind = StateKind.FINISHED

    def __init__(self, state: states.State) -> None:
        super().__init__(state.message, state.result)
        self._state = state

    @property
    def state(self) -> states.State:
        """The state given."""
        return self._state

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._state,))


_BY_KIND = {
    each.kind: each
    for each in (SUCCESS, SKIP, FAIL, TRIGGERFAIL, VALIDATIONFAIL, RETRY, PAUSE, LOOP)
}


def signal_from_state(state: states.State | type[states.State]) -> type[Signal]:
    """Tell which signal ends a task in a kind of state.

    Raises:
        InvalidInputError: There is none.
    """
    found = _BY_KIND.get(state.kind)
    if found is None:
        msg = f"No signal ends a task in {state!r}. Raise ENDRUN with that state."
        raise InvalidInputError(msg)
    return found
