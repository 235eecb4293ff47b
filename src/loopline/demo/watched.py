"""An executor that tells which task is about to run, for a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.flows.executors.local import LocalExecutor, LocalPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.flows.executors.base import Events, Pool
    from loopline.flows.running.attempt import Call

__all__ = ["WatchedExecutor"]


class WatchedExecutor(LocalExecutor):
    """Runs tasks one after the other, and calls ``on_task`` with the name of each before."""

    def __init__(self, on_task: Callable[[str], None]) -> None:
        self.on_task = on_task

    def open(self, events: Events, *, address: str = "") -> Pool:  # noqa: ARG002 - same process
        """Open a pool for one flow run."""
        return _WatchedPool(events, self.on_task)


class _WatchedPool(LocalPool):
    def __init__(self, events: Events, on_task: Callable[[str], None]) -> None:
        super().__init__(events)
        self._on_task = on_task

    def submit(self, call: Call) -> None:
        """Queue an attempt."""
        self._on_task(call.task.name)
        super().submit(call)
