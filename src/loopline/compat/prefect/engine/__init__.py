"""``prefect.engine``."""

from loopline.compat.prefect.engine.flow_runner import FlowRunner
from loopline.compat.prefect.engine.task_runner import TaskRunner
from loopline.compat.prefect.refusals import refusing
from loopline.flows.executors.base import Executor
from loopline.flows.executors.local import LocalExecutor

__all__ = ["FlowRunner", "TaskRunner", "get_default_executor_class"]

__getattr__ = refusing(__name__)


def get_default_executor_class() -> type[Executor]:
    """Return what runs tasks where nothing else is said."""
    return LocalExecutor
