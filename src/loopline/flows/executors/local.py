"""The local executor: tasks run here, one after the other."""

from __future__ import annotations

import time
from collections import deque
from functools import partial

from loopline.flows.attempt import Call, Outcome, run_attempt
from loopline.flows.executors.base import Events, Executor, Pool

__all__ = ["LocalExecutor", "LocalPool"]


class LocalExecutor(Executor):
    """Runs tasks in the thread that runs the flow, one after the other; the default."""

    def open(self, events: Events, *, address: str = "") -> Pool:  # noqa: ARG002 - same process
        """Open a pool for one flow run."""
        return LocalPool(events)


class LocalPool(Pool):
    """Runs an attempt when somebody waits for an outcome."""

    def __init__(self, events: Events) -> None:
        self._events = events
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
        self._events.started(call)
        return run_attempt(call, partial(self._events.logged, call))

    def close(self, *, abandon: bool) -> None:  # noqa: ARG002 - nothing runs in between
        """Forget what was queued."""
        self._calls.clear()
