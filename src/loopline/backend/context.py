"""Which task of which flow run the current code runs in, so that runs started there are linked."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["TaskContext", "current_task"]


class TaskContext(NamedTuple):
    """The task run around the current code.

    Attributes:
        token: Fencing token of the flow run; 0 outside a worker.
        address: Where its flow records to; empty: where this process does.
    """

    flow_run_id: str
    task_slug: str
    map_index: int = -1
    token: int = 0
    address: str = ""


#: Set by the flow engine around each task, in whichever thread or process it runs.
current_task: ContextVar[TaskContext | None] = ContextVar("loopline_current_task", default=None)
