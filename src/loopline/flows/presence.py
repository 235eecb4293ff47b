"""Presence: which workers are alive on a home, told by locked files, so that users can be told.

A worker holds a lock on a file of its own in ``<home>/workers/`` as long as it lives; the
operating system lets go of it however the worker ends.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["has_worker", "present"]

_FOLDER = "workers"


@contextmanager
def present(home: Path, name: str) -> Iterator[None]:
    """Be seen as a worker of this home inside the ``with`` block."""
    folder = home / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / uuid4().hex
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(handle)
        os.write(handle, f"{name}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def has_worker(home: Path) -> bool:
    """Tell whether a worker of this home is alive; files of dead ones are removed."""
    alive = False
    for path in (home / _FOLDER).glob("*"):
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _lock(handle):
                    path.unlink(missing_ok=True)
                else:
                    alive = True
            finally:
                os.close(handle)
    return alive


def _lock(handle: int) -> bool:
    """Take the lock; False when somebody has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
