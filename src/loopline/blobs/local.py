"""Blobs in a folder of this machine.

A blob is written under a temporary name, synced, and renamed to its hash: it is there whole or
not at all, also after a power cut. Reading checks the hash again.
"""

from __future__ import annotations

import errno
import math
import os
import re
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs import local_gc, stores
from loopline.blobs.hold import hold_blobs
from loopline.disk import NO_ROOM, make_folder, sync_folder
from loopline.errors import IntegrityError, InvalidInputError, NotFoundError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO, TypeAlias

    from loopline.blobs.protocol import Kept, StillNeeded

    #: Number, size and times of change of a file: what tells that it was written to.
    _State: TypeAlias = tuple[int, int, int, int]

__all__ = ["CHUNK", "LocalBlobs", "check_sha256", "chunks_of", "damaged", "missing"]

#: Bytes read and hashed at a time.
CHUNK = 1 << 20
#: A blob's time of change says when it was last put or asked for, as closely as this.
RENEW_S = 60.0
#: Seconds for which a blob that was read and found whole is not read again before parts of it.
#: Else a client that reads a large file in ranges would have it hashed for each of them.
TRUSTED_S = 600.0
#: Blobs remembered as whole.
_MOST_TRUSTED = 10_000
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
        #: Files that were found whole: the state of each, and when, by the monotonic clock.
        self._trusted: dict[str, tuple[_State, float]] = {}

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def folder(self) -> Path | None:
        """The folder."""
        return self.root

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
            self._install(temporary, digest)
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

    def take(self, file: Path, digest: str) -> None:
        """Make a file a blob, by renaming it where it lies on the same disk.

        Args:
            file: Hashed and synced by the caller, and gone when this returns.
            digest: Its hash.

        Raises:
            StorageFullError: There is no room; nothing is kept.
        """
        try:
            make_folder(self.root)
            self._install(file, check_sha256(digest))
        except OSError as error:
            if error.errno == errno.EXDEV:
                with file.open("rb") as source:
                    self.put(chunks_of(source), expected=digest)
                file.unlink()
            elif error.errno in NO_ROOM:
                msg = f"No room for one more file in {self.root}. Free some space."
                raise StorageFullError(msg) from error
            else:
                raise

    def _install(self, file: Path, digest: str) -> None:
        """Give a file that is whole and synced its name, durably."""
        target = self.path_of(digest)
        if digest[:2] not in self._durable:
            # Also when it is there: who made it may not have got to syncing it.
            target.parent.mkdir(exist_ok=True)
            sync_folder(self.root)
            self._durable.add(digest[:2])
        file.chmod(0o444)
        # Over what is there, too: should that be damaged, it is whole again now.
        file.replace(target)
        sync_folder(target.parent)

    def size(self, digest: str, *, keep: bool = True) -> int:
        """Tell a blob's size in bytes, and that somebody asked for it now.

        A client that hears that its bytes are here does not send them: from then on the blob must
        be as safe from ``loopline gc`` as one that was just put. Saying so costs nothing here.

        Raises:
            NotFoundError: No such blob.
        """
        path = self.path_of(digest)
        try:
            found = path.stat()
            if keep and found.st_mtime < time.time() - RENEW_S:
                with suppress(PermissionError):  # Another user's; the one who serves may.
                    os.utime(path)
        except FileNotFoundError:
            raise missing(digest) from None
        return found.st_size

    def read(self, digest: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob and check its hash at the end, or a part of it and check before.

        Args:
            digest: Which.
            start: First byte.
            end: The byte after the last; None: to the end of the blob.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written, lately or not: of a part it
                is told only if the whole was not found to be right in the last minutes.
        """
        if start or end is not None:
            self._check_lately(digest)
            return _part(self._opened(digest), start, end)
        return self._checked(self._opened(digest), digest)

    def _opened(self, digest: str) -> BinaryIO:
        try:
            return self.path_of(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise missing(digest) from None

    def _checked(self, file: BinaryIO, digest: str) -> Iterator[bytes]:
        hasher = sha256()
        with file:
            state = _state_of(file)
            for chunk in chunks_of(file):
                hasher.update(chunk)
                yield chunk
            if hasher.hexdigest() != digest:
                self._trusted.pop(digest, None)
                raise damaged(digest)
            if len(self._trusted) >= _MOST_TRUSTED:
                self._trusted.clear()
            self._trusted[digest] = (state, time.monotonic())

    def _check_lately(self, digest: str) -> None:
        """Read a blob against its hash, unless that was just done and the file is the same."""
        with self._opened(digest) as file:
            state, at = self._trusted.get(digest, (None, 0.0))
            if state == _state_of(file) and time.monotonic() - at < TRUSTED_S:
                return
        for _chunk in self.read(digest):
            pass

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, after checking its hash.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written.
        """
        for _chunk in self.read(digest):
            pass
        return self.path_of(digest).open("rb")

    # --- care ---

    def listed(self) -> Iterator[Kept]:
        """List every blob."""
        return local_gc.blobs_in(self.root)

    def now_s(self) -> float:
        """Ask the disk what time it is."""
        return local_gc.now_of(self.root)

    def renew(self, digests: Iterable[str]) -> None:
        """Count blobs as put now."""
        local_gc.renew(self.root, digests)

    def remove(
        self, digests: Sequence[str], before: float, still_needed: StillNeeded
    ) -> Iterator[tuple[str, int]]:
        """Remove blobs that are still nobody's; see ``Blobs.remove``."""
        return local_gc.remove_unneeded(self.root, digests, before, still_needed)

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:
        """Keep a collection from starting, or with ``alone`` everybody else."""
        return hold_blobs(self.root, alone=alone)

    def sweep(self) -> None:
        """Move back what an interrupted collection had moved away."""
        local_gc.move_back(self.root)

    def check(self) -> list[str]:
        """Find no fault: what a folder cannot do, ``loopline doctor`` tells."""
        return []

    def note_store(self, where: str) -> None:
        """Note that a store keeps blobs here."""
        stores.note_store(self.root, where)

    def noted_stores(self) -> list[str]:
        """List the stores that left a note."""
        return stores.noted_stores(self.root)

    def forget_store(self, where: str) -> bool:
        """Take a note back; tell whether there was one."""
        return stores.forget_store(self.root, where)


def _state_of(file: BinaryIO) -> _State:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _part(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = math.inf if end is None else end - start
        while left > 0 and (chunk := file.read(int(min(CHUNK, left)))):
            left -= len(chunk)
            yield chunk
        if left > 0 and end is not None:
            msg = "The file ended before its end. Check the disk that holds the blobs."
            raise IntegrityError(msg)


def missing(digest: str) -> NotFoundError:
    """Make the error for a blob that is not there."""
    return NotFoundError(
        f"No blob {digest}. Its artifact may have been collected by gc or never been sent; "
        "run `loopline sync` where it was logged."
    )


def damaged(digest: str) -> IntegrityError:
    """Make the error for a blob whose bytes are others than they were."""
    return IntegrityError(
        f"Blob {digest} is damaged: its bytes no longer have that hash. Restore it from a backup."
    )
