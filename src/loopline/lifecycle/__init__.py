"""Lifecycle: is the model in a stage still good, is a new version better, and then what."""

from __future__ import annotations

from loopline.lifecycle.notify import notify
from loopline.lifecycle.promotion import promote
from loopline.lifecycle.scoring import Evaluation, compare, evaluate
from loopline.rules.gates import Comparison, Decision, Gate, decide_nothing

__all__ = [
    "Comparison",
    "Decision",
    "Evaluation",
    "Gate",
    "compare",
    "decide_nothing",
    "evaluate",
    "notify",
    "promote",
]
