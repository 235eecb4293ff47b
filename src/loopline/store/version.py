"""Which schema the store has: here, for whoever asks without opening the store."""

from __future__ import annotations

__all__ = ["HEAD", "VERSION_TABLE"]

#: The newest migration, so that an up-to-date store is opened without importing Alembic.
HEAD = "0001"
VERSION_TABLE = "ll_schema_version"
