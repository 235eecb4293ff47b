"""``prefect.engine.executors.dask``."""

from loopline.executors import DaskExecutor, LocalDaskExecutor

__all__ = ["DaskExecutor", "LocalDaskExecutor"]
