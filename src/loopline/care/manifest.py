"""The manifest of a backup: what belongs to it, each with its SHA-256.

It is written last and under its final name at once, so that a backup without one was
interrupted. It holds a hash of itself, so that a damaged one is not believed.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec

from loopline.errors import IntegrityError
from loopline.records.base import Record

__all__ = ["NAME", "BackedUpFile", "Manifest", "decode_manifest", "encode_manifest"]

NAME = "manifest.json"
FORMAT = 1
_DATABASE = re.compile(r"database-[0-9TZ]+\.(db|dump)\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class BackedUpFile(Record, frozen=True, kw_only=True):
    """A file of a backup.

    Attributes:
        path: Relative to the backup, with ``/``.
    """

    path: str
    sha256: str
    size_bytes: int


class Manifest(Record, frozen=True, kw_only=True):
    """What a backup holds.

    Attributes:
        format: Version of this layout.
        loopline: Version that made the backup.
        taken_ms: Unix time in milliseconds of the state it shows.
        source: Address of the store, without a password.
        kind: ``"sqlite"`` (a database file) or ``"postgresql"`` (a dump in pg_dump's format).
        schema: Version of the store's schema.
        database: The database.
        counts: Rows of what people count: ``"runs"``, ``"experiments"``, ...
        blobs: SHA-256 and size in bytes of each blob, which lies at ``blobs/ab/abcdef…``.
        missing: Blobs that the store names and that were not there, or damaged, at the source.
        digest: SHA-256 of this record without it.
    """

    format: int = FORMAT
    loopline: str = ""
    taken_ms: int
    source: str
    kind: str
    schema: str
    database: BackedUpFile
    counts: dict[str, int]
    blobs: list[tuple[str, int]]
    missing: list[str] = msgspec.field(default_factory=list)
    digest: str = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of all that is in it."""
        return self.database.size_bytes + sum(size for _, size in self.blobs)


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest with the hash of itself."""
    digest = _digest(manifest)
    return msgspec.json.format(
        msgspec.json.encode(msgspec.structs.replace(manifest, digest=digest)), indent=1
    )


def decode_manifest(data: bytes, where: object) -> Manifest:
    """Read a manifest.

    Raises:
        IntegrityError: It is damaged, or of a newer Loopline.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"The manifest of {where} is damaged ({error}). Restore from another backup."
        raise IntegrityError(msg) from error
    if manifest.format > FORMAT:
        msg = (
            f"{where} was made by a newer Loopline ({manifest.loopline}). Upgrade first: "
            "pip install --upgrade loopline"
        )
        raise IntegrityError(msg)
    # The names become paths: a manifest made by somebody else must not lead anywhere else.
    named = _DATABASE.match(manifest.database.path) and all(
        _SHA256.match(digest) for digest, _ in manifest.blobs
    )
    if not named or manifest.digest != _digest(manifest):
        msg = f"The manifest of {where} does not have its own hash. Restore from another backup."
        raise IntegrityError(msg)
    return manifest


def _digest(manifest: Manifest) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(manifest, digest=""))).hexdigest()
