"""``loopline.transformers``: log trainings by themselves, or with a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.transformers import autolog

if TYPE_CHECKING:
    from loopline.integrations.transformers_callback import LooplineCallback

__all__ = ["LooplineCallback", "autolog"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class below
    """Import the class, and Hugging Face Trainer with it, at first use."""
    if name == "LooplineCallback":
        from importlib import import_module

        return getattr(import_module("loopline.integrations.transformers_callback"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
