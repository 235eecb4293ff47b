"""The local parallel executor: threads or processes of this machine, under Prefect 1's name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.flows.executors.base import Executor
from loopline.flows.executors.local import LocalPool
from loopline.flows.executors.processes import ProcessPool
from loopline.flows.executors.threads import ThreadPool

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events, Pool

__all__ = ["LocalDaskExecutor"]

_SYNCHRONOUS = frozenset({"sync", "synchronous", "single-threaded"})
_KNOWN = frozenset({"threads", "processes", *_SYNCHRONOUS})


class LocalDaskExecutor(Executor):
    """Runs tasks at the same time, in threads or processes of this machine; needs no Dask.

    Args:
        scheduler: ``"threads"``; ``"processes"`` for tasks that compute in Python, or that
            shall be killed when they are late; ``"synchronous"`` to look for errors.
        num_workers: How many tasks run at the same time; by default one for each core.

    Raises:
        InvalidInputError: There is no such scheduler, or there are no workers.
    """

    def __init__(self, scheduler: str = "threads", num_workers: int | None = None) -> None:
        if scheduler not in _KNOWN:
            msg = f"There is no scheduler {scheduler!r}. Use one of {', '.join(sorted(_KNOWN))}."
            raise InvalidInputError(msg)
        if num_workers is not None and num_workers < 1:
            msg = f"num_workers is {num_workers}; give 1 or more, or leave it out."
            raise InvalidInputError(msg)
        self.scheduler = scheduler
        self.num_workers = num_workers

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Open a pool for one flow run."""
        size = self.num_workers or os.cpu_count() or 1
        if self.scheduler in _SYNCHRONOUS:
            return LocalPool(events)
        if self.scheduler == "processes":
            return ProcessPool(events, size, address=address)
        return ThreadPool(events, size)
