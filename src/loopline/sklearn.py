"""``loopline.sklearn``: log, save and load scikit-learn models."""

from __future__ import annotations

from loopline.models.sklearn import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
