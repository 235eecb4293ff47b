"""What the blobs need of a bucket: few calls, which S3, Azure and Google all have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["BUCKET_URL", "Found", "Objects", "Signed", "is_bucket_url", "open_objects"]

BUCKET_URL = re.compile(r"(s3|s3a|gs|az|azure|abfs|abfss)://([^/]+)/?(.*)\Z", re.ASCII)


class Found(NamedTuple):
    """An object.

    Attributes:
        key: Below the prefix.
        size_bytes: Its length.
        changed_s: When it was written, by the store's clock; Unix time in seconds.
    """

    key: str
    size_bytes: int
    changed_s: float


class Signed(NamedTuple):
    """An address that does one thing for whoever has it, and the headers to send with it."""

    url: str
    headers: dict[str, str]


class Objects(Protocol):
    """The objects below a prefix of a bucket. Safe to use from several threads.

    Raises:
        BackendUnavailableError: Any call, when the store cannot be reached or refuses.
    """

    @property
    def where(self) -> str:
        """The address of the prefix."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over what is there."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; tell whether it was written."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Write an object of any size, in parts."""
        ...

    def find(self, key: str) -> Found | None:
        """Look for an object."""
        ...

    def list(self, prefix: str) -> Iterator[Found]:
        """List what lies below a prefix, which is a whole part of keys; empty: everything."""
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes] | None:
        """Stream an object, or a part of it; None when there is none."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are passed over."""
        ...

    def sign(self, method: str, key: str, expires_s: int) -> Signed | None:
        """Make an address for one request without credentials; None where that cannot be done."""
        ...


def is_bucket_url(text: str) -> bool:
    """Whether a text is the address of a bucket, or of something in one."""
    return BUCKET_URL.match(text) is not None


def open_objects(url: str) -> Objects:
    """Open a prefix of a bucket; nothing is asked of it yet.

    Raises:
        InvalidInputError: The URL names no bucket, or no credentials are found for it.
        MissingExtraError: What speaks with it is not installed.
    """
    if url.startswith("gs://"):
        from loopline.blobs.google_objects import GoogleObjects

        return GoogleObjects(url)
    from loopline.blobs.obstore_objects import ObstoreObjects

    return ObstoreObjects(url)
