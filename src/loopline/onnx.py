"""``loopline.onnx``: log, save and load ONNX models."""

from __future__ import annotations

from loopline.models.onnx import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
