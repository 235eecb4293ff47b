"""What every record shares: frozen, keyword-only, and the same on every wire."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Lifecycle", "Record"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable value passed between layers; unknown fields are ignored when decoding."""


class Lifecycle(StrEnum):
    """Whether an entity is in use or was soft-deleted; a deleted one can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"
