"""The local executor: tasks run here, one after the other."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from loopline.flows.executors.base import Events, Executor, Pool
from loopline.flows.running.attempt import Call, Outcome, run_attempt

if TYPE_CHECKING:
    from loopline.flows.executors.isolated import IsolatedProcess

__all__ = ["LocalExecutor", "LocalPool"]


class LocalExecutor(Executor):
    """Runs tasks in the thread that runs the flow, one after the other; the default."""

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run."""
        return LocalPool(events, address=address)


class LocalPool(Pool):
    """Runs an attempt when somebody waits for an outcome.

    A task with limits runs in a process beside this one.
    """

    def __init__(self, events: Events, *, address: str = "") -> None:
        self._events = events
        self._address = address
        self._process: IsolatedProcess | None = None
        self._calls: deque[Call] = deque()

    @property
    def has_room(self) -> bool:
        """One at a time."""
        return not self._calls

    def submit(self, call: Call) -> None:
        """Queue an attempt."""
        self._calls.append(call)

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Run the next attempt; with none, sleep."""
        if not self._calls:
            time.sleep(timeout_s or 0.0)
            return None
        call = self._calls.popleft()
        if getattr(call.task, "limits", None) is not None:
            if self._process is None:
                from loopline.flows.executors.isolated import IsolatedProcess

                self._process = IsolatedProcess(address=self._address)
            return self._process.attempt(call, self._events)
        self._events.started(call)
        return run_attempt(call, partial(self._events.logged, call))

    def close(self, *, abandon: bool) -> None:
        """Forget what was queued."""
        self._calls.clear()
        if self._process is not None:
            if abandon:
                self._process.stop()
            self._process.dismiss()
