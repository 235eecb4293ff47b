"""``loopline.catboost``: log, save and load CatBoost models."""

from __future__ import annotations

from loopline.models.catboost import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
