"""``prefect.utilities.serialization``: names of objects; its schemas are not here."""

from __future__ import annotations

from typing import Any

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.utilities.importtools import import_object

__all__ = ["from_qualified_name", "to_qualified_name"]

__getattr__ = refusing(__name__)


def to_qualified_name(obj: Any) -> str:
    """Write where a class or function is: module and name, with dots."""
    return f"{obj.__module__}.{obj.__qualname__}"


def from_qualified_name(obj_str: str) -> Any:
    """Import what ``to_qualified_name`` named.

    Raises:
        ValueError: There is no such thing.
    """
    try:
        return import_object(obj_str)
    except (ImportError, AttributeError) as error:
        msg = f"There is no {obj_str!r} to import here: {error}"
        raise ValueError(msg) from error
