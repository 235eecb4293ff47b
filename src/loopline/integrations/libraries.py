"""A library's module, or an error that says how to install it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from loopline.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> Any:  # noqa: ANN401 - a module
    """Import a module of an optional library.

    Raises:
        MissingExtraError: The library is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        # A library that is there and lacks a part of its own says so itself.
        if error.name != package:
            raise
        raise MissingExtraError(package, extra=extra, purpose=purpose) from None
