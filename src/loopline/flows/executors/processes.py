"""A pool of processes: attempts overlap on all cores, and one that kills its own fails alone."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from loopline.flows.executors.base import Executor
from loopline.flows.executors.isolated import IsolatedProcess
from loopline.flows.executors.queue_pool import QueuePool
from loopline.flows.executors.sendable import check_sendable
from loopline.flows.executors.threads import check_workers
from loopline.flows.limits import Limits

if TYPE_CHECKING:
    import queue
    from datetime import timedelta

    from loopline.flows.executors.base import Events, Pool
    from loopline.flows.flow import Flow
    from loopline.flows.running.attempt import Call, Outcome

__all__ = ["ProcessExecutor", "ProcessPool"]


class ProcessExecutor(Executor):
    """Runs tasks at the same time, each in one of some processes that are used again and again.

    Args:
        num_workers: How many tasks run at the same time; by default one for each core.
        memory_limit: What each task may have in memory, such as ``"2 GB"``, unless it has
            limits of its own; one that takes more is ended.
        time_limit: Seconds, or a timedelta: what each task may take, likewise.

    Raises:
        InvalidInputError: There are no workers, or a limit is none.
    """

    def __init__(
        self,
        num_workers: int | None = None,
        memory_limit: int | str | None = None,
        time_limit: timedelta | float | None = None,
    ) -> None:
        check_workers(num_workers)
        Limits(memory_limit, time_limit)
        self.num_workers = num_workers
        self.memory_limit = memory_limit
        self.time_limit = time_limit

    def check(self, flow: Flow) -> None:
        """Refuse a flow with tasks that cannot be sent to a process.

        Raises:
            FlowBuildError: Names the task, and what of it cannot be.
        """
        check_sendable(flow, "processes")

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run."""
        limits = Limits(self.memory_limit, self.time_limit)
        return ProcessPool(events, self.num_workers or os.cpu_count() or 1, limits, address=address)


class ProcessPool(QueuePool["_Worker"]):
    """Up to ``size`` processes, each served by a thread here, started when there is work."""

    def __init__(
        self, events: Events, size: int, limits: Limits | None = None, *, address: str = ""
    ) -> None:
        super().__init__(events, size)
        self._address = address
        self._limits = limits

    def _make_worker(self, number: int) -> _Worker:  # noqa: ARG002 - a process has a number of its own
        process = IsolatedProcess(address=self._address, limits=self._limits)
        return _Worker(process, self._events, self._calls, self._outcomes)

    def close(self, *, abandon: bool) -> None:
        """Stop the processes; ``abandon`` tells what still runs to stop, and ends it soon after."""
        if abandon:
            self._drop_queued()
        for _ in self._workers:
            self._calls.put(None)
        if abandon:
            self._stop_all([worker.process for worker in self._workers])
        for worker in self._workers:
            worker.join()


class _Worker(threading.Thread):
    """Serves one process."""

    def __init__(
        self,
        process: IsolatedProcess,
        events: Events,
        calls: queue.SimpleQueue[Call | None],
        outcomes: queue.SimpleQueue[Outcome | BaseException],
    ) -> None:
        super().__init__(name="loopline process worker", daemon=True)
        self.process = process
        self._events = events
        self._calls = calls
        self._outcomes = outcomes

    def run(self) -> None:
        """Take attempts until told to stop."""
        while (call := self._calls.get()) is not None:
            try:
                self._outcomes.put(self.process.attempt(call, self._events))
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)
        self.process.dismiss()
