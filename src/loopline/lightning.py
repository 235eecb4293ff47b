"""``loopline.lightning``: log trainings by themselves, or with a callback or logger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.lightning import autolog

if TYPE_CHECKING:
    from loopline.integrations.lightning_callback import LooplineCallback, LooplineLogger

__all__ = ["LooplineCallback", "LooplineLogger", "autolog"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class below
    """Import the classes, and PyTorch Lightning with them, at first use."""
    if name in {"LooplineCallback", "LooplineLogger"}:
        from importlib import import_module

        return getattr(import_module("loopline.integrations.lightning_callback"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
