"""What every record shares: frozen, keyword-only, and the same on every wire."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DRAWN", "Lifecycle", "Record"]

#: How a notebook shows the records of a type, as HTML; filled by the packages that users import.
DRAWN: dict[type, Callable[[Any], str]] = {}


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable value passed between layers; unknown fields are ignored when decoding."""

    def _repr_html_(self) -> str | None:
        """Show it in a notebook; None: as text."""
        draw = DRAWN.get(type(self))
        return None if draw is None else draw(self)


class Lifecycle(StrEnum):
    """Whether an entity is in use or was soft-deleted; a deleted one can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"
