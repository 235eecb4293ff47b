"""Blobs in a bucket: ``ab/abcdef…`` by hash, as in a folder, and a little beside them.

``asked/ab/abcdef…`` is an empty object whose time says when a blob was last asked for or put
again, since objects are never touched; ``gc/`` holds what a collection is about to delete
(``bucket_gc``), ``stores/`` notes of the stores that keep blobs here, and ``staging/`` uploads
that came by addresses of their own.

A store of objects shows an object whole or not at all. Its name is the hash of what is in it, so
that two who write it at once do no harm.
"""

from __future__ import annotations

import tempfile
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs.bucket_gc import doomed_in, held, new_name, now_of, remove_unneeded
from loopline.blobs.bucket_gc import sweep as sweep_bucket
from loopline.blobs.bucket_notes import BucketNotes
from loopline.blobs.local import check_sha256, chunks_of, damaged, missing
from loopline.blobs.protocol import Kept
from loopline.errors import BackendUnavailableError, ConflictError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from loopline.blobs.objects import Objects
    from loopline.blobs.protocol import StillNeeded

__all__ = ["ASKED", "BucketBlobs", "key_of"]

#: Prefix of the marks of what was asked for.
ASKED = "asked"
#: Up to this size a blob is written by one conditional request; longer ones go in parts.
SMALL_BYTES = 8 << 20
#: Seconds for which a blob that this process has asked for is not marked again. The shortest
#: grace time of a collection is an hour.
RENEW_S = 600.0
#: Seconds to wait for a collection that is about to delete what is being put.
PATIENCE_S, PAUSE_S = 60.0, 0.5
_MOST_MARKED = 100_000
_DIGEST_LENGTH = 64


def key_of(digest: str) -> str:
    """Tell where a blob lies below the prefix."""
    check_sha256(digest)
    return f"{digest[:2]}/{digest}"


class BucketBlobs(BucketNotes):
    """Blobs below a prefix of a bucket; see ``Blobs``."""

    def __init__(self, objects: Objects) -> None:
        """Use a prefix; nothing is asked of it yet."""
        super().__init__(objects)
        self._marked: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The address of the prefix."""
        return self.objects.where

    @property
    def folder(self) -> Path | None:
        """None: it is on no disk of this machine."""
        return None

    # --- bytes ---

    def put(self, chunks: Iterable[bytes], *, expected: str = "") -> tuple[str, int]:
        """Keep a stream of bytes, by way of a temporary file; see ``Blobs.put``."""
        hasher = sha256()
        with tempfile.NamedTemporaryFile(prefix="loopline-") as file:
            for chunk in chunks:
                hasher.update(chunk)
                file.write(chunk)
            file.flush()
            digest = hasher.hexdigest()
            if expected and digest != expected:
                msg = (
                    f"The bytes received have the SHA-256 {digest}, not {expected}. "
                    "They were damaged on the way: send them again."
                )
                raise IntegrityError(msg)
            self._put(Path(file.name), digest)
            return digest, file.tell()

    def put_file(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes; see ``Blobs.put_file``."""
        hasher = sha256()
        with source.open("rb") as file:
            for chunk in chunks_of(file):
                hasher.update(chunk)
            size = file.tell()
        self._put(source, hasher.hexdigest())
        return hasher.hexdigest(), size

    def take(self, file: Path, digest: str) -> None:
        """Keep a file that the caller hashed; it is gone then."""
        self._put(file, check_sha256(digest))
        file.unlink()

    def _put(self, source: Path, digest: str) -> None:
        """Write a blob, unless it is there, so that no collection deletes it afterwards.

        A collection first says what it is about to delete and then looks at the marks; who puts
        first marks and then looks at what collections have said. One of both sees the other.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            if not self._write(source, digest):
                self._mark(digest)
            # What a collection deleted before it could be seen has to be written again.
            if digest not in doomed_in(self.objects) and self.objects.find(key_of(digest)):
                return
            if time.monotonic() > until:
                msg = (
                    f"A `loopline gc` is at work on {self.where} and has not ended. Try again; "
                    "if it was interrupted, run it once more."
                )
                raise BackendUnavailableError(msg)
            time.sleep(PAUSE_S)

    def _write(self, source: Path, digest: str) -> bool:
        """Write a blob; tell whether it was new."""
        size = source.stat().st_size
        if size <= SMALL_BYTES:
            return self.objects.create(key_of(digest), source.read_bytes())
        found = self.objects.find(key_of(digest))
        if found is not None and found.size_bytes == size:
            return False
        self.objects.put_file(key_of(digest), source)
        return True

    def size(self, digest: str, *, keep: bool = False) -> int:
        """Tell a blob's size in bytes; see ``Blobs.size``."""
        found = self.objects.find(key_of(digest))
        if found is not None and keep and not self._is_marked(digest):
            self._mark(digest)
            is_doomed = digest in doomed_in(self.objects)
            # It may have been deleted before its mark could be seen.
            found = None if is_doomed else self.objects.find(key_of(digest))
            if found is not None:
                self._remember(digest)
        if found is None:
            self._marked.pop(digest, None)
            raise missing(digest)
        return found.size_bytes

    def read(self, digest: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob and check its hash at the end; a part of it is not checked.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: Its bytes have another hash.
        """
        is_part = bool(start) or end is not None
        if is_part:
            # Stores refuse a range behind the last byte, where there is simply nothing.
            size = self.size(digest)
            end = size if end is None else min(end, size)
            if start >= end:
                return iter(())
        chunks = self.objects.read(key_of(digest), start=start, end=end)
        if chunks is None:
            raise missing(digest)
        return chunks if is_part else _checked(chunks, digest)

    def open(self, digest: str) -> BinaryIO:
        """Download a blob into an unnamed temporary file; see ``Blobs.open``."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            file.writelines(self.read(digest))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    # --- care ---

    def listed(self) -> Iterator[Kept]:
        """List every blob."""
        asked = {each.key.rpartition("/")[2]: each.changed_s for each in self.objects.list(ASKED)}
        for each in self.objects.list(""):
            folder, _, digest = each.key.rpartition("/")
            if len(digest) == _DIGEST_LENGTH and folder == digest[:2]:
                changed_s = max(each.changed_s, asked.get(digest, 0.0))
                yield Kept(digest, each.size_bytes, changed_s)

    def now_s(self) -> float:
        """Ask the store's clock."""
        return now_of(self.objects)

    def renew(self, digests: Iterable[str]) -> None:
        """Count blobs as put now."""
        for digest in digests:
            self._mark(digest)

    def remove(
        self, digests: Sequence[str], before: float, still_needed: StillNeeded
    ) -> Iterator[tuple[str, int]]:
        """Remove blobs that are still nobody's; see ``Blobs.remove``."""
        return remove_unneeded(self.objects, digests, before, still_needed)

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:
        """Keep a collection from starting, or with ``alone`` everybody else.

        Raises:
            ConflictError: A backup or a collection is under way, or the store ignores
                conditions, so that two collections could not know of each other.
        """
        faults = self.check() if alone else []
        if faults:
            msg = f"Nothing is collected from {self.where}. {' '.join(faults)}"
            raise ConflictError(msg)
        return held(self.objects, alone=alone)

    def sweep(self) -> None:
        """Tidy up what was interrupted long ago."""
        sweep_bucket(self.objects, self.now_s(), marks=ASKED)

    def check(self) -> list[str]:
        """Try out whether the store writes, reads, and heeds conditions.

        Raises:
            BackendUnavailableError: It cannot be reached.
            InvalidInputError: There is no access.
        """
        name = new_name("probe")
        try:
            first = self.objects.create(name, b"fares of January")
            again = self.objects.create(name, b"fares of February")
        finally:
            self.objects.delete([name])
        if first and not again:
            return []
        fault = (
            f"{self.where} ignores conditional writes: of two that write one object at once, the "
            "last one wins, unnoticed. Files are safe, for they are named by their hash, but "
            "`loopline gc` must not run. Use S3, Google Cloud Storage, Azure, or a store that "
            "heeds If-None-Match."
        )
        return [fault]

    # --- marks ---

    def _mark(self, digest: str) -> None:
        self.objects.put(f"{ASKED}/{key_of(digest)}", b"")

    def _is_marked(self, digest: str) -> bool:
        return time.monotonic() - self._marked.get(digest, -RENEW_S) < RENEW_S

    def _remember(self, digest: str) -> None:
        with self._lock:
            if len(self._marked) >= _MOST_MARKED:
                self._marked.clear()
            self._marked[digest] = time.monotonic()


def _checked(chunks: Iterable[bytes], digest: str) -> Iterator[bytes]:
    hasher = sha256()
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != digest:
        raise damaged(digest)
