"""``prefect.utilities.importtools``."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["import_object"]


def import_object(name: str) -> Any:
    """Import what a path of dots names: a module, or something in one.

    Raises:
        ImportError: The module is not there.
        AttributeError: It has no such name.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        module, _, last = name.rpartition(".")
        # Only when the last name itself is no module: what a module fails to import is its fault.
        if not module or error.name is None or not name.startswith(error.name):
            raise
    return getattr(importlib.import_module(module), last)
