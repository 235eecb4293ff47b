"""What really happened after a prediction: ``loopline.truth.add(data, model="taxifare_model")``."""

from __future__ import annotations

from loopline.tracking.predictions import add_truth as add

__all__ = ["add"]
