"""The digest of a set of files: what a registry stores and a loader checks."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["manifest_digest"]


def manifest_digest(files: Iterable[tuple[str, str]]) -> str:
    """Hash (path, SHA-256 in hex) pairs, in the order of their paths."""
    lines = sorted(f"{path}\0{digest}\n" for path, digest in files)
    return sha256("".join(lines).encode()).hexdigest()
