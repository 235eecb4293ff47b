"""``prefect.tasks.control_flow``."""

from loopline.compat.prefect.refusals import refusing

# From the module of the same name: imported later, it would take the class's place.
from loopline.compat.prefect.tasks.control_flow.case import case
from loopline.flows.control_flow import FilterTask, ifelse, merge, switch

__all__ = ["FilterTask", "case", "ifelse", "merge", "switch"]

__getattr__ = refusing(__name__)
