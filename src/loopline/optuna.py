"""``loopline.optuna``: log studies by themselves, or with a callback."""

from __future__ import annotations

from loopline.integrations.optuna import LooplineCallback, autolog

__all__ = ["LooplineCallback", "autolog"]
