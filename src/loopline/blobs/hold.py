"""Holding the blobs: while a backup copies them, nothing may be collected.

A lock on ``gc.lock`` in the folder of blobs, shared by backups and exclusive for a collection.
It goes with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LOCK", "hold_blobs", "lock_file"]

LOCK = "gc.lock"


@contextmanager
def hold_blobs(root: Path, *, alone: bool) -> Iterator[None]:
    """Keep a collection from starting, or with ``alone`` everybody else.

    Raises:
        ConflictError: A backup or a collection is under way.
    """
    root.mkdir(parents=True, exist_ok=True)
    with lock_file(root / LOCK, alone=alone) as got:
        if not got:
            msg = (
                f"A backup or another gc is at work on {root}. Try again when it is through."
                if alone
                else f"`loopline gc` is at work on {root}. Try again when it is through."
            )
            raise ConflictError(msg)
        yield


@contextmanager
def lock_file(path: Path, *, alone: bool, remove: bool = False) -> Iterator[bool]:
    """Lock a file while the block runs; gives whether that worked, at once.

    Args:
        path: The file; made when it is missing.
        alone: Lock everybody else out, rather than only those who want to be alone.
        remove: Delete the file at the end.
    """
    handle = _locked(path, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            if remove:
                path.unlink(missing_ok=True)
            os.close(handle)


def _locked(path: Path, kind: int) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        # Whoever had it may have deleted it just before: then this lock is on no file any more.
        try:
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)
