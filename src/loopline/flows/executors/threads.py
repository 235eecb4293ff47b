"""A pool of threads: attempts overlap where they wait or compute outside the interpreter."""

from __future__ import annotations

import queue
import threading
from functools import partial
from typing import TYPE_CHECKING

from loopline.flows.attempt import Call, Outcome, run_attempt
from loopline.flows.executors.base import Pool

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events

__all__ = ["ThreadPool"]


class ThreadPool(Pool):
    """Up to ``size`` threads, started when there is work and none is free.

    The threads are daemons: a task that hangs does not keep the interpreter from exiting.
    """

    def __init__(self, events: Events, size: int) -> None:
        self._events = events
        self._size = size
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def submit(self, call: Call) -> None:
        """Queue an attempt."""
        self._unfinished += 1
        self._calls.put(call)
        if len(self._threads) < min(self._unfinished, self._size):
            name = f"loopline worker {len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Wait for an outcome."""
        try:
            outcome = self._outcomes.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._unfinished -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self, *, abandon: bool) -> None:
        """Stop the threads; without ``abandon`` wait for them."""
        if abandon:
            while not self._calls.empty():
                self._calls.get()
        for _ in self._threads:
            self._calls.put(None)
        if not abandon:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._events.started(call)
                self._outcomes.put(run_attempt(call, partial(self._events.logged, call)))
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)
