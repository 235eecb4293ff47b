"""``prefect.tasks.core.constants``."""

from loopline.flows.authoring.constants import Constant

__all__ = ["Constant"]
