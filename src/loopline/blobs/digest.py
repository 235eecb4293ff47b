"""The name of bytes: their SHA-256."""

from __future__ import annotations

from hashlib import file_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hash_file"]


def hash_file(path: Path) -> str:
    """Tell the SHA-256 of a file in hex, without holding it in memory."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
