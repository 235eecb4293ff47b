"""``prefect.engine.results.local_result``."""

from loopline.flows.result_types import LocalResult

__all__ = ["LocalResult"]
