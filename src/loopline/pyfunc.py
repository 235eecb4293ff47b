"""``loopline.pyfunc``: any Python function or class as a model, and any model for scoring."""

from __future__ import annotations

from loopline.models.pyfunc import PyFuncModel, load_model
from loopline.models.python_base import PythonModel, PythonModelContext
from loopline.models.python_model import log_model, save_model

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "load_model",
    "log_model",
    "save_model",
]
