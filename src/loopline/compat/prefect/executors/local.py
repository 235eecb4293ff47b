"""``prefect.executors.local``."""

from loopline.executors import LocalExecutor

__all__ = ["LocalExecutor"]
