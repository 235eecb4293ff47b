"""Buckets of Google Cloud Storage, through google-cloud-storage.

Credentials come from where Google's tools take them (``GOOGLE_APPLICATION_CREDENTIALS``, the
machine itself); with ``STORAGE_EMULATOR_HOST`` nobody is asked for any.
"""

from __future__ import annotations

import os
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.blobs.objects import BUCKET_URL, Found, Signed
from loopline.errors import (
    BackendUnavailableError,
    InvalidInputError,
    LooplineError,
    MissingExtraError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["GoogleObjects"]

CHUNK_BYTES = 1 << 20
#: Parts in which a long object is sent; a multiple of 256 KiB.
PART_BYTES = 8 << 20
_TIMEOUT_S = 60.0


class GoogleObjects:
    """The objects below a prefix of a bucket; see ``Objects``."""

    def __init__(self, url: str, account: Mapping[str, Any] | None = None) -> None:
        """Open a prefix, by default with the credentials of the environment.

        Args:
            url: Where.
            account: A service account, as in its key file, to use instead.

        Raises:
            MissingExtraError: google-cloud-storage is not installed.
            InvalidInputError: The URL names no bucket or no credentials are found for it.
        """
        found = BUCKET_URL.match(url)
        if found is None:
            msg = f"{url!r} names no bucket. Write it like gs://bucket/folder."
            raise InvalidInputError(msg)
        self.where = url.rstrip("/")
        try:
            storage: Any = import_module("google.cloud.storage")
            self._errors: Any = import_module("google.api_core.exceptions")
        except ImportError:
            raise MissingExtraError(
                "google-cloud-storage", extra="gcs", purpose=f"Keeping files in {url}"
            ) from None
        try:
            if os.environ.get("STORAGE_EMULATOR_HOST"):
                client = storage.Client.create_anonymous_client()
            elif account is not None:
                client = storage.Client.from_service_account_info(dict(account))
            else:
                client = storage.Client()
        except Exception as error:
            msg = (
                f"No credentials for {url} ({error}). Set GOOGLE_APPLICATION_CREDENTIALS, or run "
                "`gcloud auth application-default login`."
            )
            raise InvalidInputError(msg) from error
        self._bucket = client.bucket(found[2])
        self._prefix = f"{found[3].strip('/')}/" if found[3].strip("/") else ""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over what is there."""
        try:
            self._blob(key).upload_from_string(
                data, content_type="application/octet-stream", timeout=_TIMEOUT_S
            )
        except Exception as error:
            raise self._translated(error) from error

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; tell whether it was written."""
        try:
            self._blob(key).upload_from_string(
                data,
                content_type="application/octet-stream",
                if_generation_match=0,
                timeout=_TIMEOUT_S,
            )
        except self._errors.PreconditionFailed:
            return False
        except Exception as error:
            raise self._translated(error) from error
        return True

    def put_file(self, key: str, path: Path) -> None:
        """Write an object of any size, in parts."""
        blob = self._bucket.blob(self._prefix + key, chunk_size=PART_BYTES)
        try:
            blob.upload_from_filename(
                str(path), content_type="application/octet-stream", timeout=_TIMEOUT_S
            )
        except Exception as error:
            raise self._translated(error) from error

    def find(self, key: str) -> Found | None:
        """Look for an object."""
        try:
            blob = self._bucket.get_blob(self._prefix + key, timeout=_TIMEOUT_S)
        except Exception as error:
            raise self._translated(error) from error
        return None if blob is None else self._found(blob)

    def list(self, prefix: str) -> Iterator[Found]:
        """List what lies below a prefix."""
        below = self._prefix + (f"{prefix}/" if prefix else "")
        try:
            for blob in self._bucket.list_blobs(prefix=below or None, timeout=_TIMEOUT_S):
                yield self._found(blob)
        except Exception as error:
            raise self._translated(error) from error

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes] | None:
        """Stream an object, or a part of it; None when there is none."""
        found = self.find(key)
        if found is None:
            return None
        return self._chunks(key, start, found.size_bytes if end is None else end)

    def _chunks(self, key: str, start: int, end: int) -> Iterator[bytes]:
        blob = self._blob(key)
        try:
            if start >= end:
                return
            # In ranges, for the client keeps what it downloads at once in memory.
            for at in range(start, end, PART_BYTES):
                last = min(at + PART_BYTES, end) - 1
                yield blob.download_as_bytes(
                    start=at, end=last, checksum=None, raw_download=True, timeout=_TIMEOUT_S
                )
        except Exception as error:
            raise self._translated(error) from error

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are passed over."""
        for key in keys:
            try:
                self._blob(key).delete(timeout=_TIMEOUT_S)
            except self._errors.NotFound:
                continue
            except Exception as error:
                raise self._translated(error) from error

    def sign(self, method: str, key: str, expires_s: int) -> Signed | None:
        """Make an address for one request; None for credentials that cannot sign."""
        try:
            url = self._blob(key).generate_signed_url(
                version="v4", expiration=timedelta(seconds=expires_s), method=method
            )
        except (AttributeError, TypeError):
            return None  # Such as those of a machine, which have no key of their own.
        except Exception as error:
            raise self._translated(error) from error
        return Signed(str(url), {})

    def _blob(self, key: str) -> Any:  # noqa: ANN401 - imported when it is used
        return self._bucket.blob(self._prefix + key)

    def _found(self, blob: Any) -> Found:  # noqa: ANN401 - as above
        return Found(blob.name.removeprefix(self._prefix), int(blob.size), blob.updated.timestamp())

    def _translated(self, error: Exception) -> LooplineError:
        if isinstance(error, LooplineError):
            return error
        first = str(error).partition("\n")[0][:300] or repr(error)
        if isinstance(error, self._errors.NotFound):
            return NotFoundError(f"There is nothing at {self.where}. Check the bucket and the key.")
        if isinstance(error, self._errors.Forbidden | self._errors.Unauthorized):
            return InvalidInputError(
                f"No access to {self.where} ({first}). Check the credentials in the environment."
            )
        return BackendUnavailableError(
            f"Cannot use {self.where} ({first}). Check the network and the credentials "
            "(GOOGLE_APPLICATION_CREDENTIALS)."
        )
