"""Prefect 1's names for what Loopline has: replace ``prefect`` by this in the imports.

Every module is where Prefect 1 has it, and holds Loopline's own classes under Prefect's names, or a
thin adapter. What is not here says so when it is imported, with what to do instead
(``refusals.py``); `docs/moving-from-prefect.md` lists every name. A script that cannot be changed
runs with ``python -m loopline.compat.prefect script.py``.
"""

from loopline.compat.prefect import artifacts, refusals, triggers
from loopline.compat.prefect.client import Client
from loopline.compat.prefect.configuration import config
from loopline.compat.prefect.refusals import refusing
from loopline.flows.annotations import flatten, mapped, unmapped
from loopline.flows.authoring.active import tags
from loopline.flows.context import context
from loopline.flows.control_flow import case
from loopline.flows.flow import Flow
from loopline.flows.mapping import apply_map
from loopline.flows.parameter import Parameter
from loopline.flows.resources import resource_manager
from loopline.flows.task import Task, task

__all__ = [
    "Client",
    "Flow",
    "Parameter",
    "Task",
    "apply_map",
    "artifacts",
    "case",
    "config",
    "context",
    "flatten",
    "mapped",
    "resource_manager",
    "tags",
    "task",
    "triggers",
    "unmapped",
]

__getattr__ = refusing(__name__)

#: The release whose names these are.
__version__ = "1.4.1"

refusals.install()
