"""``prefect.engine.results.gcs_result``."""

from loopline.flows.result_types import GCSResult

__all__ = ["GCSResult"]
