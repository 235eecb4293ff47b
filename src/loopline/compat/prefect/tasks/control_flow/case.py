"""``prefect.tasks.control_flow.case``."""

from loopline.flows.control_flow import case

__all__ = ["case"]
