"""``prefect.tasks.control_flow.conditional``."""

from loopline.flows.control_flow import CompareValue, Merge, ifelse, merge, switch

__all__ = ["CompareValue", "Merge", "ifelse", "merge", "switch"]
