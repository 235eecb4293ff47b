"""``prefect.tasks.core.function``."""

from loopline.flows.task import FunctionTask

__all__ = ["FunctionTask"]
