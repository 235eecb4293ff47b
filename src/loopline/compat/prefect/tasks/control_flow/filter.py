"""``prefect.tasks.control_flow.filter``."""

from loopline.flows.control_flow import FilterTask

__all__ = ["FilterTask"]
