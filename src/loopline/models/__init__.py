"""Models: folders in MLflow's layout, safe formats, signatures, and loading by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.models.load import load_model
    from loopline.models.log import ModelInfo
    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature
    from loopline.models.signature import infer_signature

__all__ = ["MLModel", "ModelInfo", "Signature", "infer_signature", "load_model"]

_HOMES = {
    "MLModel": "loopline.models.mlmodel",
    "ModelInfo": "loopline.models.log",
    "Signature": "loopline.models.schema",
    "infer_signature": "loopline.models.signature",
    "load_model": "loopline.models.load",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    """Import a name when it is first used."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in {"catboost", "keras", "lightgbm", "onnx", "pyfunc", "pytorch", "sklearn", "xgboost"}:
        return importlib.import_module(f"loopline.models.{name}")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
