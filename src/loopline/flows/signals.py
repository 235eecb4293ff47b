"""Signals: raised in a task (or a trigger) to end it in a state of one's choice.

They do not derive from ``Exception``, so that a task's own ``except Exception`` lets them pass.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from loopline.records.flows import StateKind

__all__ = ["FAIL", "RETRY", "SKIP", "SUCCESS", "TRIGGERFAIL", "Signal"]


class Signal(BaseException):
    """Base of the signals.

    Attributes:
        kind: State the task ends in.
        result: The task's result.
    """

    kind: ClassVar[StateKind]

    def __init__(self, message: str = "", result: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.result = result

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


class TRIGGERFAIL(Signal):
    """Raised in a trigger: the task shall not run."""

    kind = StateKind.TRIGGER_FAILED


class RETRY(Signal):
    """Try the task again, whatever its number of retries.

    Args:
        message: Why.
        start_time: When; without an offset in UTC. None: after the task's own delay.
        after: How long to wait, instead of ``start_time``.
    """

    kind = StateKind.RETRYING

    def __init__(
        self,
        message: str = "",
        result: object = None,
        *,
        start_time: datetime | None = None,
        after: timedelta | None = None,
    ) -> None:
        super().__init__(message, result)
        self.start_time = start_time
        self.after = after

    def delay_s(self, now: datetime) -> float | None:
        """Tell how many seconds after ``now`` to try again; None: as the task says."""
        if self.after is not None:
            return max(self.after.total_seconds(), 0.0)
        if self.start_time is None:
            return None
        start = self.start_time
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        return max((start - now).total_seconds(), 0.0)
