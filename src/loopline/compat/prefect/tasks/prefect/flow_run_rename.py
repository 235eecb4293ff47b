"""``prefect.tasks.prefect.flow_run_rename``."""

from __future__ import annotations

from typing import Any

from loopline.backend.recorder import get_recorder
from loopline.flows.context import context
from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.task import Task
from loopline.records.flow_operations import UpdateFlowRun

__all__ = ["RenameFlowRun"]


class RenameFlowRun(Task):
    """Calls a flow run something else.

    Args:
        flow_run_id: Which; the one it is part of by default.
        flow_run_name: What.
        **kwargs: As ``Task`` has them.
    """

    def __init__(
        self, flow_run_id: str | None = None, flow_run_name: str | None = None, **kwargs: Any
    ) -> None:
        self.flow_run_id = flow_run_id
        self.flow_run_name = flow_run_name
        super().__init__(**kwargs)

    @defaults_from_attrs("flow_run_id", "flow_run_name")
    def run(self, flow_run_id: str | None = None, flow_run_name: str | None = None) -> bool:
        """Rename it.

        Raises:
            ValueError: The name is missing.
        """
        if not flow_run_name:
            msg = "RenameFlowRun needs a flow_run_name."
            raise ValueError(msg)
        which = flow_run_id or context.get("flow_run_id", "")
        get_recorder().backend.call(UpdateFlowRun(flow_run_id=which, name=flow_run_name))
        return True
