"""Scoring: models behind MLflow's scoring protocol, swapped without a failed request.

The road of one request: ``protocol`` holds it until its body has come; ``reading`` makes typed rows
of that; ``engine`` gathers the rows of all requests that wait, has the model asked once, in its own
thread, and ``answers`` writes each request its part. ``watch`` follows the registry and puts a
newly promoted version in the place of the one before.
"""

from __future__ import annotations

__all__ = ["DEFAULT_PORT"]

DEFAULT_PORT = 5001
