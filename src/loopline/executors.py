"""Executors under the name that flows import: ``from loopline.executors import ...``."""

from __future__ import annotations

from loopline.flows.executors.base import Executor
from loopline.flows.executors.dask import DaskExecutor
from loopline.flows.executors.local import LocalExecutor
from loopline.flows.executors.local_dask import LocalDaskExecutor
from loopline.flows.executors.processes import ProcessExecutor
from loopline.flows.executors.threads import ThreadExecutor
from loopline.flows.limits import Limits

__all__ = [
    "DaskExecutor",
    "Executor",
    "Limits",
    "LocalDaskExecutor",
    "LocalExecutor",
    "ProcessExecutor",
    "ThreadExecutor",
]
