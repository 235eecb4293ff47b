"""``loopline.lightgbm``: log, save and load LightGBM models, and log trainings by themselves."""

from __future__ import annotations

from loopline.integrations.lightgbm import LooplineCallback, autolog
from loopline.models.lightgbm import load_model, log_model, save_model

__all__ = ["LooplineCallback", "autolog", "load_model", "log_model", "save_model"]
