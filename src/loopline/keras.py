"""``loopline.keras``: log, save and load Keras models."""

from __future__ import annotations

from loopline.models.keras import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
