"""``prefect.engine.result``."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.result_types import ResultType as Result

__all__ = ["Result"]

__getattr__ = refusing(__name__)
