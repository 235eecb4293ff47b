"""Prefect 1's library of tasks, as far as it is here; see ``refusals``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.task import Task

__all__ = ["Task"]

__getattr__ = refusing(__name__)
