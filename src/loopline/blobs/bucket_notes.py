"""Notes in a bucket of which stores keep blobs there; in a folder that is ``stores``."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from loopline.blobs.objects import Objects

__all__ = ["BucketNotes"]

NOTES = "stores"


class BucketNotes:
    """The part of ``BucketBlobs`` that keeps notes."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def note_store(self, where: str) -> None:
        """Note that a store keeps blobs here."""
        self.objects.put(_key(where), msgspec.json.encode({"store": _whole(where)}))

    def noted_stores(self) -> list[str]:
        """List the stores that left a note."""
        found = []
        for each in self.objects.list(NOTES):
            chunks = self.objects.read(each.key)
            if chunks is not None:
                note = msgspec.json.decode(b"".join(chunks), type=dict[str, str])
                found.append(note["store"])
        return sorted(found)

    def forget_store(self, where: str) -> bool:
        """Take a note back; tell whether there was one."""
        was_there = self.objects.find(_key(where)) is not None
        self.objects.delete([_key(where)])
        return was_there


def _key(where: str) -> str:
    return f"{NOTES}/{sha256(_whole(where).encode()).hexdigest()[:16]}.json"


def _whole(where: str) -> str:
    return where if "://" in where else str(Path(where).resolve())
