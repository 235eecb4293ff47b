"""Flows: tasks, the graphs they make, and running them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from loopline.flows import signals, states, triggers
from loopline.flows.annotations import flatten, mapped, unmapped
from loopline.flows.authoring.active import tags
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.gathering import as_task
from loopline.flows.context import context, get_run_logger
from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.edge import Edge
from loopline.flows.flow import Flow
from loopline.flows.function import flow
from loopline.flows.parameter import DateTimeParameter, Parameter
from loopline.flows.task import FunctionTask, Task, task

if TYPE_CHECKING:
    from loopline.flows.control_flow import FilterTask, case, ifelse, merge, switch
    from loopline.flows.mapping import apply_map
    from loopline.flows.resources import ResourceManager, resource_manager

__all__ = [
    "Constant",
    "DateTimeParameter",
    "Edge",
    "FilterTask",
    "Flow",
    "FunctionTask",
    "Parameter",
    "ResourceManager",
    "Task",
    "apply_map",
    "as_task",
    "case",
    "context",
    "defaults_from_attrs",
    "flatten",
    "flow",
    "get_run_logger",
    "ifelse",
    "mapped",
    "merge",
    "resource_manager",
    "signals",
    "states",
    "switch",
    "tags",
    "task",
    "triggers",
    "unmapped",
]

#: What not every flow needs is imported when it is first used.
_HOMES = {
    **dict.fromkeys(("FilterTask", "case", "ifelse", "merge", "switch"), "control_flow"),
    **dict.fromkeys(("ResourceManager", "resource_manager"), "resources"),
    "apply_map": "mapping",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    """Import a name when it is first used."""
    if name not in _HOMES:
        msg = f"module 'loopline.flows' has no attribute {name!r}"
        raise AttributeError(msg)
    home = importlib.import_module(f"loopline.flows.{_HOMES[name]}")
    found = globals()[name] = getattr(home, name)
    return found
