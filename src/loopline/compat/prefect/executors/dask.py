"""``prefect.executors.dask``."""

from loopline.compat.prefect.refusals import refusing
from loopline.executors import DaskExecutor, LocalDaskExecutor

__all__ = ["DaskExecutor", "LocalDaskExecutor"]

__getattr__ = refusing(__name__)
