"""``prefect.engine.executors.local``."""

from loopline.executors import LocalExecutor

__all__ = ["LocalExecutor"]
