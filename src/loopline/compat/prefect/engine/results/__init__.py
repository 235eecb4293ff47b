"""``prefect.engine.results``: where results are kept."""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.result_types import (
    AzureResult,
    ConstantResult,
    GCSResult,
    LocalResult,
    PrefectResult,
    S3Result,
    SecretResult,
)

__all__ = [
    "AzureResult",
    "ConstantResult",
    "GCSResult",
    "LocalResult",
    "PrefectResult",
    "S3Result",
    "SecretResult",
]

__getattr__ = refusing(__name__)
