"""``prefect.engine.results.constant_result``."""

from loopline.flows.result_types import ConstantResult

__all__ = ["ConstantResult"]
