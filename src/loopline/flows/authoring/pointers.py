"""Pointers to functions: a decorated function travels by name where its module can be imported.

Pickling finds a task under the function's name and not the function, and would copy the function
with every global it uses: module state would be doubled, and a lock there would refuse.
"""

from __future__ import annotations

import importlib
import sys
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FunctionPointer"]


class FunctionPointer(NamedTuple):
    """Where a task's function is."""

    module: str
    qualname: str

    @classmethod
    def to(cls, fn: Callable[..., Any]) -> FunctionPointer | None:
        """Point to a function; None when its name does not lead back to it."""
        pointer = cls(getattr(fn, "__module__", ""), getattr(fn, "__qualname__", ""))
        if pointer.module in {"", "__main__", "__mp_main__"} or _travels_by_value(pointer.module):
            return None
        if pointer.module not in sys.modules:
            return None
        try:
            return pointer if pointer.follow() is fn else None
        except AttributeError:
            return None  # Such as "build.<locals>.train": made anew in each call.

    def follow(self) -> Any:  # noqa: ANN401 - a function
        """Find the function."""
        found: Any = reduce(getattr, self.qualname.split("."), importlib.import_module(self.module))
        return getattr(found, "fn", found)


def _travels_by_value(module: str) -> bool:
    """Tell whether somebody asked cloudpickle to copy this module's functions."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    asked = cloudpickle.list_registry_pickle_by_value()
    parts = module.split(".")
    return any(".".join(parts[: end + 1]) in asked for end in range(len(parts)))
