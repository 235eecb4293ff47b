"""``prefect.executors.base``."""

from loopline.executors import Executor

__all__ = ["Executor"]
