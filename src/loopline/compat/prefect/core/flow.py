"""``prefect.core.flow``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.flow import Flow

__all__ = ["Flow"]

__getattr__ = refusing(__name__)
