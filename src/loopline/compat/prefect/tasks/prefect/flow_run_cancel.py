"""``prefect.tasks.prefect.flow_run_cancel``."""

from loopline.tasks.flow_runs import CancelFlowRun

__all__ = ["CancelFlowRun"]
