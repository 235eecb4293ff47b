"""Flows: tasks, the graphs they make, and running them."""

from __future__ import annotations

from loopline.flows import signals, states, triggers
from loopline.flows.context import context, get_run_logger
from loopline.flows.edge import Edge
from loopline.flows.flow import Flow
from loopline.flows.parameter import Parameter
from loopline.flows.task import FunctionTask, Task, task, unmapped

__all__ = [
    "Edge",
    "Flow",
    "FunctionTask",
    "Parameter",
    "Task",
    "context",
    "get_run_logger",
    "signals",
    "states",
    "task",
    "triggers",
    "unmapped",
]
