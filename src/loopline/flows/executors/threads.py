"""A pool of threads: attempts overlap where they wait or compute outside the interpreter."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.flows.executors.base import Executor
from loopline.flows.executors.isolated import GRACE_S, IsolatedProcess
from loopline.flows.executors.queue_pool import QueuePool
from loopline.flows.running.attempt import run_attempt

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events, Pool

__all__ = ["ThreadExecutor", "ThreadPool", "check_workers"]


class ThreadExecutor(Executor):
    """Runs tasks at the same time in threads of this process.

    Args:
        num_workers: How many tasks run at the same time; by default one for each core.

    Raises:
        InvalidInputError: There are no workers.
    """

    def __init__(self, num_workers: int | None = None) -> None:
        check_workers(num_workers)
        self.num_workers = num_workers

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run."""
        return ThreadPool(events, self.num_workers or os.cpu_count() or 1, address=address)


def check_workers(num_workers: int | None) -> None:
    """Check a number of workers.

    Raises:
        InvalidInputError: It is less than one.
    """
    if num_workers is not None and num_workers < 1:
        msg = f"num_workers is {num_workers}; give 1 or more, or leave it out."
        raise InvalidInputError(msg)


class ThreadPool(QueuePool[threading.Thread]):
    """Up to ``size`` threads, started when there is work and none is free.

    The threads are daemons: a task that hangs does not keep the interpreter from exiting. A task
    with limits runs in a process that its thread has.
    """

    def __init__(self, events: Events, size: int, *, address: str = "") -> None:
        super().__init__(events, size)
        self._address = address
        self._processes: list[IsolatedProcess] = []

    def _make_worker(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._serve, name=f"loopline worker {number}", daemon=True)

    def close(self, *, abandon: bool) -> None:
        """Stop the threads; ``abandon`` tells what still runs to stop, as Ctrl-C would.

        What waits in C, and so cannot be told, is left behind after a moment.
        """
        if abandon:
            self._drop_queued()
        for _ in self._workers:
            self._calls.put(None)
        if not abandon:
            for thread in self._workers:
                thread.join()
            return
        for thread in self._workers:
            interrupt(thread)
        self._stop_all(self._processes)
        until = time.monotonic() + GRACE_S
        for thread in self._workers:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        with suppress(KeyboardInterrupt):  # Told to stop between two attempts.
            self._work()

    def _work(self) -> None:
        own: IsolatedProcess | None = None
        events = self._events
        while (call := self._calls.get()) is not None:
            try:
                if getattr(call.task, "limits", None) is None:
                    events.started(call)
                    self._outcomes.put(run_attempt(call, partial(events.logged, call)))
                    continue
                if own is None:
                    own = IsolatedProcess(address=self._address)
                    self._processes.append(own)
                self._outcomes.put(own.attempt(call, events))
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)
        if own is not None:
            own.dismiss()


def interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread, when it is back in Python."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
        )
