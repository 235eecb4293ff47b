"""Which model is made, by its name in ``params.MODEL``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["model_module"]

_MODULES = {
    "sklearn": "taxifare.ml_logic.model_sklearn",
    "keras": "taxifare.ml_logic.model_keras",
}


def model_module(model: str) -> ModuleType:
    """Import the module that makes a kind of model, with ``params``, ``fit`` and ``log``."""
    if model not in _MODULES:
        msg = f"There is no model {model!r}. Choose one of {', '.join(_MODULES)}."
        raise ValueError(msg)
    return importlib.import_module(_MODULES[model])
