"""Which stores use a folder of blobs: nothing may be deleted from it that any of them needs.

A home's own database lies beside its blobs and needs no note. Any other store, such as a team's
PostgreSQL, leaves a note in ``stores/`` when it first keeps a blob there.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path

import msgspec

__all__ = ["NOTES", "forget_store", "is_beside", "note_store", "noted_stores"]

NOTES = "stores"


def is_beside(root: Path, where: str) -> bool:
    """Tell whether a database lies beside a folder of blobs, as in a home."""
    if "://" in where:
        return False
    return Path(where).resolve().parent == root.resolve().parent


def note_store(root: Path, where: str) -> None:
    """Note that a store keeps blobs in a folder.

    Args:
        root: The folder of blobs.
        where: A database file, or a URL without a password.
    """
    note = _note(root, where)
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        # Of its own name: several threads and processes may come with their first blob at once.
        handle, part = tempfile.mkstemp(dir=note.parent, prefix=note.stem, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode({"store": _whole(where)}))
        Path(part).replace(note)


def noted_stores(root: Path) -> list[str]:
    """List the stores that left a note."""
    return [
        msgspec.json.decode(note.read_bytes(), type=dict[str, str])["store"]
        for note in sorted((root / NOTES).glob("*.json"))
    ]


def forget_store(root: Path, where: str) -> bool:
    """Take a note back; tell whether there was one."""
    note = _note(root, where)
    was_there = note.exists()
    note.unlink(missing_ok=True)
    return was_there


def _note(root: Path, where: str) -> Path:
    return root / NOTES / f"{sha256(_whole(where).encode()).hexdigest()[:16]}.json"


def _whole(where: str) -> str:
    return where if "://" in where else str(Path(where).resolve())
