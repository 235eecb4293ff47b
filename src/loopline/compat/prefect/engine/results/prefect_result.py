"""``prefect.engine.results.prefect_result``."""

from loopline.flows.result_types import PrefectResult

__all__ = ["PrefectResult"]
