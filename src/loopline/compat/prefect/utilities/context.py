"""``prefect.utilities.context``."""

from loopline.flows.context import Context, context

__all__ = ["Context", "context"]
