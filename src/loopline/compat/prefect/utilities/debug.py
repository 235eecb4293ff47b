"""``prefect.utilities.debug``."""

from __future__ import annotations

from typing import Any

from loopline.flows.debug import raise_on_exception

__all__ = ["is_serializable", "raise_on_exception"]


def is_serializable(obj: Any, raise_on_error: bool = False) -> bool:
    """Tell whether an object can be sent to another process.

    Args:
        obj: The object.
        raise_on_error: Raise what goes wrong.
    """
    import cloudpickle

    try:
        cloudpickle.dumps(obj)
    except Exception:
        if raise_on_error:
            raise
        return False
    return True
