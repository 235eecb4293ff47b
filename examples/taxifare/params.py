"""What one may want to change; each is also an argument or a flow parameter."""

from __future__ import annotations

import os

__all__ = ["EXPERIMENT", "MAX_CHUNKS", "METRIC", "MODEL", "MODEL_NAME"]

#: Runs are recorded in this experiment.
EXPERIMENT = "wagoncab taxifare"

#: Name in the model registry.
MODEL_NAME = os.environ.get("TAXIFARE_MODEL_NAME", "taxifare_model")

#: ``"sklearn"`` (histogram boosting) or ``"keras"`` (a small network).
MODEL = os.environ.get("TAXIFARE_MODEL", "sklearn")

#: How many months a model is trained on.
MAX_CHUNKS = 2

#: What a fare error is: root mean squared error, in dollars.
METRIC = "rmse"
