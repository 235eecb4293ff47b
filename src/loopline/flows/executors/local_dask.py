"""The local parallel executor: threads or processes of this machine, under Prefect 1's name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.flows.executors.base import Executor
from loopline.flows.executors.local import LocalPool
from loopline.flows.executors.processes import ProcessPool
from loopline.flows.executors.sendable import check_sendable
from loopline.flows.executors.threads import ThreadPool, check_workers

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events, Pool
    from loopline.flows.flow import Flow

__all__ = ["LocalDaskExecutor"]

#: What Dask calls the same.
_ALIASES = {
    "threading": "threads",
    "multiprocessing": "processes",
    "sync": "synchronous",
    "single-threaded": "synchronous",
}
_KNOWN = ("threads", "processes", "synchronous")


class LocalDaskExecutor(Executor):
    """Runs tasks at the same time, in threads or processes of this machine; needs no Dask.

    Args:
        scheduler: ``"threads"``; ``"processes"`` for tasks that compute in Python, or that
            shall be killed when they are late; ``"synchronous"`` to look for errors. Dask's other
            names for them are understood.
        num_workers: How many tasks run at the same time; by default one for each core.
        use_dask: Hand tasks to Dask's own scheduler of that name: those that are ready
            together, wave by wave. It needs Dask, and is for what relies on its settings.

    Raises:
        InvalidInputError: There is no such scheduler, or there are no workers.
    """

    def __init__(
        self, scheduler: str = "threads", num_workers: int | None = None, *, use_dask: bool = False
    ) -> None:
        if _ALIASES.get(scheduler, scheduler) not in _KNOWN:
            names = ", ".join(sorted({*_KNOWN, *_ALIASES}))
            msg = f"There is no scheduler {scheduler!r}. Use one of {names}."
            raise InvalidInputError(msg)
        check_workers(num_workers)
        self.scheduler = scheduler
        self.num_workers = num_workers
        self.use_dask = use_dask

    def check(self, flow: Flow) -> None:
        """Refuse a flow with tasks that cannot be sent to a process, when that is where they run.

        Raises:
            FlowBuildError: Names the task, and what of it cannot be.
        """
        if self._kind == "processes":
            check_sendable(flow, "processes")

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run.

        Raises:
            MissingExtraError: Dask is asked for and not installed.
        """
        size = self.num_workers or os.cpu_count() or 1
        if self.use_dask:
            from loopline.flows.executors.dask_waves import WavePool

            return WavePool(events, self._kind, size, address=address)
        if self._kind == "synchronous":
            return LocalPool(events, address=address)
        if self._kind == "processes":
            return ProcessPool(events, size, address=address)
        return ThreadPool(events, size, address=address)

    @property
    def _kind(self) -> str:
        return _ALIASES.get(self.scheduler, self.scheduler)
