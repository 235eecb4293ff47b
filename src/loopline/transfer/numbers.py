"""Numbers in an archive: JSON has no word for NaN and infinities, so they are written as text."""

from __future__ import annotations

import math

__all__ = ["number_of", "word_of"]

_WORDS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def word_of(value: float) -> float | str:
    """Write a number as JSON can have it."""
    return value if math.isfinite(value) else _WORDS.get(value, "NaN")


def number_of(value: float | str) -> float:
    """Read a number written by ``word_of``."""
    return float(value)
