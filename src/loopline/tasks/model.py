"""The life of a model as tasks: evaluate, compare, promote, notify; see ``loopline.lifecycle``."""

from __future__ import annotations

from loopline import lifecycle
from loopline.flows.task import task

__all__ = ["compare", "evaluate", "notify", "promote"]

evaluate = task(lifecycle.evaluate)
compare = task(lifecycle.compare)
promote = task(lifecycle.promote)
notify = task(lifecycle.notify)
