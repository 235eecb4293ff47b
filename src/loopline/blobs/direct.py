"""Bytes that clients send to a bucket and fetch from it themselves, by addresses made for them.

A long file is sent as parts, each an object of its own below ``staging/``: every store of objects
can do that, with one address a part. When all are there, they are read in order, hashed on the
way, and kept as one blob; until then nothing of it is seen. What nobody finishes is swept after
a day.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.blobs.bucket import BucketBlobs, key_of
from loopline.blobs.bucket_gc import STAGING
from loopline.blobs.objects import Signed
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection

    from loopline.blobs.protocol import Blobs

__all__ = ["MOST_PARTS", "Direct", "Upload", "direct_to"]

#: As many as S3 takes.
MOST_PARTS = 10_000
#: Seconds for which an address of a part is good: a slow line needs hours for many parts.
UPLOAD_S = 12 * 3600
_ABOUT, _DONE = "about", "done"


class _About(msgspec.Struct):
    """What an upload is of."""

    place: str
    parts: int


class _Done(msgspec.Struct):
    """What became of it."""

    sha256: str
    size_bytes: int


class Upload(msgspec.Struct, frozen=True):
    """An upload that has begun.

    Attributes:
        upload_id: Names it.
        parts: Where to put each part, in order.
    """

    upload_id: str
    parts: list[Signed]


def direct_to(blobs: Blobs) -> Direct | None:
    """Find out whether clients can be sent to the bucket itself; may ask for credentials.

    Returns:
        None for a folder, and for credentials that cannot sign addresses.
    """
    if not isinstance(blobs, BucketBlobs):
        return None
    if blobs.objects.sign("PUT", f"{STAGING}/probe", 60) is None:
        return None
    return Direct(blobs)


class Direct:
    """Uploads and downloads past this machine."""

    def __init__(self, blobs: BucketBlobs) -> None:
        """Use a bucket that signs addresses."""
        self._blobs = blobs
        self._objects = blobs.objects

    def address_of(self, digest: str, expires_s: int) -> Signed:
        """Make an address from which a blob can be downloaded, in ranges too."""
        return self._sign("GET", key_of(digest), expires_s)

    def begin(self, place: str, parts: int) -> Upload:
        """Begin an upload.

        Args:
            place: Where the file will be; whoever finishes must say the same.
            parts: How many parts it will have.

        Raises:
            InvalidInputError: So many are not taken.
        """
        if not 1 <= parts <= MOST_PARTS:
            msg = f"A file is sent in 1 to {MOST_PARTS:,} parts, not {parts:,}: use larger ones."
            raise InvalidInputError(msg)
        upload_id = uuid.uuid4().hex
        about = msgspec.json.encode(_About(place=place, parts=parts))
        self._objects.put(_key(upload_id, _ABOUT), about)
        signed = [
            self._sign("PUT", _key(upload_id, _part(number)), UPLOAD_S)
            for number in range(1, parts + 1)
        ]
        return Upload(upload_id, signed)

    def finish(
        self, upload_id: str, place: str, parts: Collection[int], staging: Path
    ) -> tuple[str, int]:
        """Keep the parts as one blob; doing so again answers the same.

        Args:
            upload_id: From ``begin``.
            place: As ``begin`` was told.
            parts: Numbers of those that were sent.
            staging: Folder on this machine with room for the whole.

        Returns:
            SHA-256 and size in bytes.

        Raises:
            NotFoundError: There is no such upload of this file.
            InvalidInputError: Parts are missing.
        """
        about = self._about(upload_id, place)
        done = self._read(upload_id, _DONE)
        if done is not None:
            kept = msgspec.json.decode(done, type=_Done)
            return kept.sha256, kept.size_bytes
        keys = [_key(upload_id, _part(number)) for number in range(1, about.parts + 1)]
        there = {each.key for each in self._objects.list(f"{STAGING}/{upload_id}")}
        missing = [number for number, key in enumerate(keys, 1) if key not in there]
        if missing or set(parts) != set(range(1, about.parts + 1)):
            msg = (
                f"The upload has {about.parts} parts, and {len(keys) - len(missing)} are there. "
                f"Send part {missing[0]}." if missing else
                f"The upload has {about.parts} parts: name each of them once."
            )  # fmt: skip
            raise InvalidInputError(msg)
        sha256_, size = self._join(keys, staging)
        kept = _Done(sha256=sha256_, size_bytes=size)
        self._objects.put(_key(upload_id, _DONE), msgspec.json.encode(kept))
        self._objects.delete(keys)
        return sha256_, size

    def abort(self, upload_id: str, place: str) -> None:
        """Delete what has come of an upload.

        Raises:
            NotFoundError: There is no such upload of this file.
        """
        self._about(upload_id, place)
        found = [each.key for each in self._objects.list(f"{STAGING}/{upload_id}")]
        self._objects.delete(found)

    def _join(self, keys: list[str], staging: Path) -> tuple[str, int]:
        hasher = sha256()
        handle, name = tempfile.mkstemp(dir=staging, prefix="upload-")
        file = Path(name)
        try:
            with os.fdopen(handle, "wb") as target:
                for key in keys:
                    for chunk in self._objects.read(key) or ():
                        hasher.update(chunk)
                        target.write(chunk)
                size = target.tell()
            self._blobs.take(file, hasher.hexdigest())
        finally:
            file.unlink(missing_ok=True)
        return hasher.hexdigest(), size

    def _about(self, upload_id: str, place: str) -> _About:
        known = self._read(upload_id, _ABOUT) if len(upload_id) == 32 else None  # noqa: PLR2004 - a UUID
        about = None if known is None else msgspec.json.decode(known, type=_About)
        if about is None or about.place != place:
            msg = (
                f"There is no upload {upload_id[:80]!r} of {place!r}. It may have been aborted, or "
                "forgotten after a day: begin it again."
            )
            raise NotFoundError(msg)
        return about

    def _read(self, upload_id: str, name: str) -> bytes | None:
        if not upload_id.isascii() or not upload_id.isalnum():
            return None
        chunks = self._objects.read(_key(upload_id, name))
        return None if chunks is None else b"".join(chunks)

    def _sign(self, method: str, key: str, expires_s: int) -> Signed:
        signed = self._objects.sign(method, key, expires_s)
        if signed is None:
            msg = f"The credentials for {self._objects.where} cannot sign addresses."
            raise InvalidInputError(msg)
        return signed


def _key(upload_id: str, name: str) -> str:
    return f"{STAGING}/{upload_id}/{name}"


def _part(number: int) -> str:
    return f"{number:05}"
