"""``loopline.keras``: log, save and load Keras models, and log trainings by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.keras import autolog
from loopline.models.keras import load_model, log_model, save_model

if TYPE_CHECKING:
    from loopline.integrations.keras_callback import LooplineCallback

__all__ = ["LooplineCallback", "autolog", "load_model", "log_model", "save_model"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the class below
    """Import the callback, and Keras with it, when it is first used."""
    if name == "LooplineCallback":
        from loopline.integrations.keras_callback import LooplineCallback

        return LooplineCallback
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
