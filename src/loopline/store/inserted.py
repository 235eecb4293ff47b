"""The number that the database gave to an inserted row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import CursorResult

__all__ = ["inserted_id"]


def inserted_id(result: CursorResult[Any]) -> int:
    """Get the primary key of the one row just inserted."""
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101 - it was an INSERT of one row
    return int(key[0])
