"""``loopline.pytorch``: log, save and load PyTorch models."""

from __future__ import annotations

from loopline.models.pytorch import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
