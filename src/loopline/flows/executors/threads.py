"""A pool of threads: attempts overlap where they wait or compute outside the interpreter."""

from __future__ import annotations

import threading
from functools import partial

from loopline.flows.attempt import run_attempt
from loopline.flows.executors.queue_pool import QueuePool

__all__ = ["ThreadPool"]


class ThreadPool(QueuePool[threading.Thread]):
    """Up to ``size`` threads, started when there is work and none is free.

    The threads are daemons: a task that hangs does not keep the interpreter from exiting.
    """

    def _make_worker(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._work, name=f"loopline worker {number}", daemon=True)

    def close(self, *, abandon: bool) -> None:
        """Stop the threads; without ``abandon`` wait for them."""
        if abandon:
            self._drop_queued()
        for _ in self._workers:
            self._calls.put(None)
        if not abandon:
            for thread in self._workers:
                thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._events.started(call)
                self._outcomes.put(run_attempt(call, partial(self._events.logged, call)))
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)
