"""What an executor is: a description that opens pools; and what a pool is: attempts in flight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loopline.flows.flow import Flow
    from loopline.flows.running.attempt import Call, Outcome

__all__ = ["Events", "Executor", "Pool"]


class Events(Protocol):
    """What a pool reports while attempts run; called from any thread."""

    def started(self, call: Call) -> None:
        """An attempt began."""

    def logged(self, call: Call, level: int, message: str, *, shown: bool) -> None:
        """It wrote a line; ``shown`` when the user has seen it already."""


class Pool(ABC):
    """Attempts in flight, of one flow run; used from one thread.

    Attributes:
        takes_references: Whether results that are elsewhere may stand among arguments as
            ``RemoteResult``, and need not be fetched.
    """

    takes_references = False

    @property
    def has_room(self) -> bool:
        """Whether another attempt would begin soon; what waits elsewhere costs less memory."""
        return True

    @abstractmethod
    def submit(self, call: Call) -> None:
        """Take an attempt; return without waiting for it."""

    @abstractmethod
    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Return the next outcome, or None when there is none in time."""

    @abstractmethod
    def close(self, *, abandon: bool) -> None:
        """Let go of threads and processes; ``abandon`` what still runs, else nothing does."""


class Executor(ABC):
    """Where tasks run; holds only settings, so it travels with a flow."""

    def check(self, flow: Flow) -> None:  # noqa: B027 - most can run any flow
        """Refuse a flow whose tasks cannot run there, before anything runs.

        Raises:
            FlowBuildError: Says which task, and why.
        """

    @abstractmethod
    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run.

        Args:
            events: What to tell while attempts run.
            address: Where tasks in other processes record to.
        """

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"
