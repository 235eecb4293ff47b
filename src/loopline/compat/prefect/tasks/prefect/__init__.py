"""``prefect.tasks.prefect``: flow runs from within flows."""

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.tasks.prefect.flow_run_rename import RenameFlowRun
from loopline.tasks.flow_runs import (
    CancelFlowRun,
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)

__all__ = [
    "CancelFlowRun",
    "RenameFlowRun",
    "StartFlowRun",
    "create_flow_run",
    "get_task_run_result",
    "wait_for_flow_run",
]

__getattr__ = refusing(__name__)
