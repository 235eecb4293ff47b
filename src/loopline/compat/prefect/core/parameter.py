"""``prefect.core.parameter``."""

from loopline.flows.parameter import DateTimeParameter, Parameter

__all__ = ["DateTimeParameter", "Parameter"]
