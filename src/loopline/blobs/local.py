"""Blobs in a folder of this machine.

A blob is written under a temporary name, synced, and renamed to its hash: it is there whole or
not at all, also after a power cut. Reading checks the hash again.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.disk import NO_ROOM, make_folder, sync_folder
from loopline.errors import IntegrityError, InvalidInputError, NotFoundError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

__all__ = ["CHUNK", "LocalBlobs", "check_sha256", "chunks_of"]

#: Bytes read and hashed at a time.
CHUNK = 1 << 20
#: A blob's time of change says when it was last put or asked for, as closely as this.
RENEW_S = 60.0
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def check_sha256(text: str) -> str:
    """Check that a text is a SHA-256 in hex, before it becomes part of any path.

    Raises:
        InvalidInputError: It is not.
    """
    if not _SHA256.match(text):
        msg = f"{text[:80]!r} is not a SHA-256 of 64 hex digits. Take it from an artifact list."
        raise InvalidInputError(msg)
    return text


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Read an open file to its end in chunks."""
    while chunk := file.read(CHUNK):
        yield chunk


class LocalBlobs:
    """A folder of blobs: ``ab/abcdef…`` by hash, ``tmp/`` for what is being written."""

    def __init__(self, root: Path) -> None:
        """Use a folder, making it when something is first put there."""
        self.root = root
        #: Folders of blobs whose names this process knows to be durable.
        self._durable: set[str] = set()

    def path_of(self, digest: str) -> Path:
        """Tell where a blob lies or would lie."""
        check_sha256(digest)
        return self.root / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the blob is here."""
        return self.path_of(digest).exists()

    def put_file(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes; return their hash and size once they are safely on disk."""
        with source.open("rb") as file:
            return self.put(chunks_of(file))

    def put(self, chunks: Iterable[bytes], *, expected: str = "") -> tuple[str, int]:
        """Keep a stream of bytes; return their hash and size once they are safely on disk.

        Args:
            chunks: The bytes.
            expected: The hash they must have; empty for any.

        Raises:
            IntegrityError: They have another hash; nothing is kept.
            StorageFullError: There is no room; nothing is kept.
        """
        staging = self.root / "tmp"
        hasher = sha256()
        size = 0
        temporary = None
        try:
            make_folder(staging)
            handle, name = tempfile.mkstemp(dir=staging)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                for chunk in chunks:
                    hasher.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            digest = hasher.hexdigest()
            if expected and digest != expected:
                msg = (
                    f"The bytes received have the SHA-256 {digest}, not {expected}. "
                    "They were damaged on the way: send them again."
                )
                raise IntegrityError(msg)
            target = self.path_of(digest)
            if digest[:2] not in self._durable:
                # Also when it is there: who made it may not have got to syncing it.
                target.parent.mkdir(exist_ok=True)
                sync_folder(self.root)
                self._durable.add(digest[:2])
            temporary.chmod(0o444)
            # Over what is there, too: should that be damaged, it is whole again now.
            temporary.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            if error.errno in NO_ROOM:
                msg = f"No room for {size:,} more bytes in {self.root}. Free some space."
                raise StorageFullError(msg) from error
            raise
        else:
            return digest, size
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def size(self, digest: str) -> int:
        """Tell a blob's size in bytes, and that somebody asked for it now.

        A client that hears that its bytes are here does not send them: from then on the blob must
        be as safe from ``loopline gc`` as one that was just put.

        Raises:
            NotFoundError: No such blob.
        """
        path = self.path_of(digest)
        try:
            found = path.stat()
            if found.st_mtime < time.time() - RENEW_S:
                with suppress(PermissionError):  # Another user's; the one who serves may.
                    os.utime(path)
        except FileNotFoundError:
            raise _missing(digest) from None
        return found.st_size

    def read(self, digest: str) -> Iterator[bytes]:
        """Stream a blob and check its hash at the end.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written.
        """
        path = self.path_of(digest)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise _missing(digest) from None
        return self._checked(file, digest)

    def _checked(self, file: BinaryIO, digest: str) -> Iterator[bytes]:
        hasher = sha256()
        with file:
            for chunk in chunks_of(file):
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != digest:
            raise _damaged(digest)

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, after checking its hash.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written.
        """
        for _chunk in self.read(digest):
            pass
        return self.path_of(digest).open("rb")


def _missing(digest: str) -> NotFoundError:
    return NotFoundError(
        f"No blob {digest}. Its artifact may have been collected by gc or never been sent; "
        "run `loopline sync` where it was logged."
    )


def _damaged(digest: str) -> IntegrityError:
    return IntegrityError(
        f"Blob {digest} is damaged: its bytes no longer have that hash. Restore it from a backup."
    )
