"""``prefect.core.edge``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.edge import Edge

__all__ = ["Edge"]

__getattr__ = refusing(__name__)
