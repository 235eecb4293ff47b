"""Copying files with their hash, whole or not at all."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from loopline.blobs.local import chunks_of
from loopline.disk import needing_room, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["PART", "blob_path", "copy_hashed", "hash_file", "room_in", "write_whole"]

#: Ending of a file that is being written; one that is found was interrupted.
PART = ".part"


def blob_path(digest: str) -> str:
    """Tell where a blob lies below its folder."""
    return f"{digest[:2]}/{digest}"


def hash_file(path: Path, heard: Callable[[int], None] | None = None) -> str:
    """Read a file and hash it; ``heard`` is told the bytes of each chunk."""
    hasher = sha256()
    with path.open("rb") as file:
        for chunk in chunks_of(file):
            hasher.update(chunk)
            if heard is not None:
                heard(len(chunk))
    return hasher.hexdigest()


def copy_hashed(
    source: BinaryIO, target: Path, expected: str, heard: Callable[[int], None]
) -> bool:
    """Copy an open file to a name, on the disk when this returns, if it has the hash expected.

    Returns:
        Whether it had; else there is nothing under the name.
    """
    part = target.with_name(target.name + PART)
    hasher = sha256()
    try:
        with part.open("wb") as file:
            for chunk in chunks_of(source):
                hasher.update(chunk)
                file.write(chunk)
                heard(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if hasher.hexdigest() != expected:
            return False
        part.chmod(0o444)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return True


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file: after a crash there is the old one or the new one, never a mixture."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def room_in(where: Path) -> AbstractContextManager[None]:
    """Say of a full disk where it is, and what to do."""
    return needing_room(f"No room in {where}. Free some space there, then run the command again.")
