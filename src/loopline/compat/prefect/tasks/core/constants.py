"""``prefect.tasks.core.constants``."""

from loopline.flows.constants import Constant

__all__ = ["Constant"]
