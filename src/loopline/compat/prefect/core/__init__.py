"""``prefect.core``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.edge import Edge
from loopline.flows.flow import Flow
from loopline.flows.parameter import Parameter
from loopline.flows.task import Task

__all__ = ["Edge", "Flow", "Parameter", "Task"]

__getattr__ = refusing(__name__)
