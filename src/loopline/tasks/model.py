"""The life of a model as tasks: evaluate, compare, promote, notify; see ``loopline.lifecycle``.

The steps of a ``lifecycle.Loop`` are tasks as well, for flows that do more around them.
"""

from __future__ import annotations

from loopline import lifecycle
from loopline.flows.task import task
from loopline.lifecycle.loop_flow import evaluate_production, promote_if_better, train_challenger
from loopline.models import scoring

__all__ = [
    "compare",
    "drift",
    "evaluate",
    "evaluate_production",
    "notify",
    "promote",
    "promote_if_better",
    "score",
    "train_challenger",
]

evaluate = task(lifecycle.evaluate)
compare = task(lifecycle.compare)
promote = task(lifecycle.promote)
notify = task(lifecycle.notify)
drift = task(lifecycle.drift)
score = task(scoring.score)
