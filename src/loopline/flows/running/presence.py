"""Presence: which workers are alive on a home, told by locked files, so that users can be told.

A worker holds a lock on a file of its own in ``<home>/workers/`` as long as it lives; the
operating system lets go of it however the worker ends.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.journal.home import needing_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["has_worker", "present"]

_FOLDER = "workers"


@contextmanager
def present(home: Path, name: str) -> Iterator[None]:
    """Be seen as a worker of this home inside the ``with`` block.

    Raises:
        BackendUnavailableError: The home cannot be written.
    """
    folder = home / _FOLDER
    path = folder / uuid4().hex
    with needing_home(home):
        folder.mkdir(parents=True, exist_ok=True)
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
        # One that is gone meanwhile; or another user's, whose folder this one may not change.
        with suppress(FileNotFoundError, PermissionError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
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
