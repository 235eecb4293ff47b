"""``prefect.executors``."""

from loopline.compat.prefect.refusals import refusing
from loopline.executors import DaskExecutor, Executor, LocalDaskExecutor, LocalExecutor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor"]

__getattr__ = refusing(__name__)
