"""``prefect.engine.results.s3_result``."""

from loopline.flows.result_types import S3Result

__all__ = ["S3Result"]
