"""``prefect.engine.results.azure_result``."""

from loopline.flows.result_types import AzureResult

__all__ = ["AzureResult"]
