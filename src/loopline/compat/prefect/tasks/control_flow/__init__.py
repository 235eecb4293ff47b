"""``prefect.tasks.control_flow``."""

from loopline.flows.control_flow import FilterTask, case, ifelse, merge, switch

__all__ = ["FilterTask", "case", "ifelse", "merge", "switch"]
