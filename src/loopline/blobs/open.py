"""Opening the place of blobs that a setting names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs.objects import is_bucket_url, open_objects
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.blobs.protocol import Blobs

__all__ = ["open_blobs"]


def open_blobs(where: str) -> Blobs:
    """Open a folder or a prefix of a bucket; nothing is made and nobody asked yet.

    Raises:
        InvalidInputError: It is neither, or no credentials are found for the bucket.
        MissingExtraError: What speaks with the bucket is not installed.
    """
    if is_bucket_url(where):
        from loopline.blobs.bucket import BucketBlobs

        return BucketBlobs(open_objects(where))
    if "://" in where:
        msg = (
            f"Files cannot be kept in {where!r}. Set LOOPLINE_BLOBS to a folder, or to an "
            "address like s3://bucket/folder, gs://bucket/folder or az://container/folder."
        )
        raise InvalidInputError(msg)
    from loopline.blobs.local import LocalBlobs

    return LocalBlobs(Path(where))
