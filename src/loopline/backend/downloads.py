"""Downloading a blob to a file, which appears whole; a long one goes on where it broke off."""

from __future__ import annotations

import fcntl
import os
import tempfile
from hashlib import sha256 as new_sha256
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend

__all__ = ["download_blob"]

#: What broke off is kept from this size on.
WORTH_BYTES = 16 << 20
_CHUNK = 1 << 20


def download_blob(
    backend: Backend,
    sha256: str,
    target: Path,
    *,
    keep: Path | None = None,
    heard: Callable[[int], None] | None = None,
) -> None:
    """Bring a blob to a file: whole and checked, or not at all.

    When this process is killed or the connection breaks, what has come stays under a name of
    its own, and the next download of the same blob to there goes on behind it.

    Args:
        backend: Where from.
        sha256: Which.
        target: File; its folder must be there, what has this name is replaced.
        keep: Folder on the same disk for what has come so far; None: that of the target.
        heard: Told the bytes of each chunk, those that were here already at first.

    Raises:
        NotFoundError: No such blob.
        IntegrityError: Its bytes do not have this hash.
        BackendUnavailableError: It broke off again and again.
    """
    file, part = _opened(keep or target.parent, sha256)
    with file:
        try:
            if _fill(backend, sha256, file, heard) != sha256:
                # What an earlier download left was not the beginning of it: once more from the
                # start, where the hash is checked while it is read.
                file.truncate(0)
                _fill(backend, sha256, file, None)
            part.chmod(0o644)
            part.replace(target)
        except BaseException as error:
            if isinstance(error, IntegrityError) or part.stat().st_size < WORTH_BYTES:
                part.unlink()
            raise


def _fill(backend: Backend, sha256: str, file: FileIO, heard: Callable[[int], None] | None) -> str:
    """Append what is missing; answer the hash of all."""
    hasher = new_sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
        if heard is not None:
            heard(len(chunk))
    for chunk in backend.read_blob(sha256, start=file.tell()):
        hasher.update(chunk)
        left = memoryview(chunk)
        while left:
            left = left[file.write(left) :]
        if heard is not None:
            heard(len(chunk))
    return hasher.hexdigest()


def _opened(folder: Path, sha256: str) -> tuple[FileIO, Path]:
    """Open what an earlier download left, alone, or a new file where another is at it."""
    part = folder / f".{sha256}.part"
    while True:
        file = FileIO(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may just have given it its name: then it is no part any more.
            if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file, part
        except BlockingIOError:
            file.close()
            handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
            return FileIO(handle, "r+b"), Path(name)
        except FileNotFoundError:
            pass
        file.close()
