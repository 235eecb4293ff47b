"""``loopline.sklearn``: log, save and load scikit-learn models, and log fits by themselves."""

from __future__ import annotations

from loopline.integrations.sklearn import autolog
from loopline.models.sklearn import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
