"""``prefect.engine.results.secret_result``."""

from loopline.flows.result_types import SecretResult

__all__ = ["SecretResult"]
