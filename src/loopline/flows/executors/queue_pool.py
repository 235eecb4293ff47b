"""What pools of threads and of processes share: a queue of attempts, and one of outcomes."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from loopline.flows.executors.base import Pool

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events
    from loopline.flows.executors.isolated import IsolatedProcess
    from loopline.flows.running.attempt import Call, Outcome

__all__ = ["QueuePool"]

#: Attempts that wait in the queue, so that no worker waits for the flow's thread.
_AHEAD = 32

W = TypeVar("W", bound="threading.Thread")


class QueuePool(Pool, Generic[W]):
    """Up to ``size`` workers, each a thread, started when there is work and none is free."""

    def __init__(self, events: Events, size: int) -> None:
        self._events = events
        self._size = size
        #: None tells a worker to end.
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        #: An exception is one of the pool itself, and is raised by ``wait``.
        self._outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._workers: list[W] = []
        self._unfinished = 0

    @property
    def has_room(self) -> bool:
        """Room for all workers, and for a few more attempts that wait for the next free one."""
        return self._unfinished < self._size + _AHEAD

    @abstractmethod
    def _make_worker(self, number: int) -> W:
        """Make the worker with this number, counted from 1; it is started by the caller."""

    def submit(self, call: Call) -> None:
        """Queue an attempt."""
        self._unfinished += 1
        self._calls.put(call)
        if len(self._workers) < min(self._unfinished, self._size):
            worker = self._make_worker(len(self._workers) + 1)
            self._workers.append(worker)
            worker.start()

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

    def _drop_queued(self) -> None:
        """Forget the attempts that nobody has begun."""
        # Not "while there is one": a worker may take the last one in between.
        with suppress(queue.Empty):
            while True:
                self._calls.get_nowait()

    @staticmethod
    def _stop_all(processes: list[IsolatedProcess]) -> None:
        """Stop processes, all at the same time."""
        stopping = [threading.Thread(target=each.stop, daemon=True) for each in processes]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
