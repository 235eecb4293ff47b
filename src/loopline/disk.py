"""Folders that a power cut does not take back, and disks that are full."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NO_ROOM", "has_room", "locked", "make_folder", "needing_room", "sync_folder"]

#: What a system says when there is no room: on the disk, in a user's quota, in a file (ulimit -f).
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: Bytes for which there must be room: a database page does not get along with less.
_PROBE = bytes(1 << 16)


@contextmanager
def needing_room(message: str) -> Iterator[None]:
    """Say of a full disk what to do, in the words given.

    Raises:
        StorageFullError: The block found no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFullError(message) from error
        raise


def has_room(folder: Path, *, longest_bytes: int = 0) -> bool:
    """Try whether a little can be written into a folder; True where it fails for other reasons.

    For programs that only say that something went wrong with a file, as SQLite does.

    Args:
        folder: Where the files are.
        longest_bytes: Length of the longest of them, which must be able to grow, too.
    """
    if longest_bytes + len(_PROBE) > _longest_allowed():
        return False
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            written = file.write(_PROBE)
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno not in NO_ROOM
    return written == len(_PROBE)


def _longest_allowed() -> float:
    """Tell how long this process may make a file (``ulimit -f``)."""
    try:
        import resource
    except ImportError:  # Systems that know no such limit.
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process do something while others wait for it; the file stays, and is empty."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's names durable: without it a new name may be gone after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
