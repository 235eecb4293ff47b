"""Buckets of S3 and Azure, and all that speak like them, through obstore.

Credentials, regions and endpoints come from where the clouds' own tools take them:
``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``AZURE_STORAGE_ACCOUNT_NAME``, ...
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

__all__ = ["ObstoreObjects", "open_bucket", "translated"]

CHUNK_BYTES = 1 << 20
#: Parts of a long object, the smallest that S3 takes, and how many are on their way at once: some
#: 30 MB of memory in all.
PART_BYTES, PARTS = 5 << 20, 4
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")


def open_bucket(
    url: str, purpose: str, config: Mapping[str, str] | None = None
) -> tuple[Any, Any, str]:
    """Open the bucket that a URL names; nothing is asked of it yet.

    Args:
        url: The bucket, or what is in it.
        purpose: What it is wanted for, should something be missing.
        config: Settings under their names in the environment, in small letters, which go
            before those of the environment.

    Returns:
        The module obstore, the bucket, and the key or prefix in it.

    Raises:
        MissingExtraError: obstore is not installed.
        InvalidInputError: The URL names no bucket or no credentials are found for it.
    """
    found = BUCKET_URL.match(url)
    if found is None:
        msg = f"{url!r} names no bucket. Write it like s3://bucket/folder/file.parquet."
        raise InvalidInputError(msg)
    scheme, bucket, key = found.groups()
    try:
        obstore = import_module("obstore")
        stores = import_module("obstore.store")
    except ImportError:
        raise MissingExtraError("obstore", extra="buckets", purpose=purpose) from None
    options: dict[str, Any] = {}
    endpoints = [os.environ.get(name, "") for name in _ENDPOINTS]
    if config:
        options["config"] = dict(config)
        endpoints += [value for name, value in config.items() if name.endswith("_endpoint")]
    if any(endpoint.startswith("http://") for endpoint in endpoints):
        options["client_options"] = {"allow_http": True}  # Whoever names it means it.
    try:
        store = stores.from_url(f"{scheme}://{bucket}", **options)
    except Exception as error:
        raise translated(error, url) from error
    return obstore, store, key


def translated(error: Exception, url: str) -> LooplineError:
    """Say what went wrong in a line; obstore's errors are pages with its own settings."""
    if isinstance(error, LooplineError):
        return error
    first = next((line for line in str(error).splitlines() if line.strip()), repr(error))
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"There is nothing at {url}. Check the bucket and the key.")
    if type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}:
        return InvalidInputError(
            f"No access to {url} ({first[:300]}). Check the credentials in the environment."
        )
    return BackendUnavailableError(
        f"Cannot use {url} ({first[:300]}). Check the network, the credentials and the "
        "region in the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, ...)."
    )


class ObstoreObjects:
    """The objects below a prefix of a bucket; see ``Objects``."""

    def __init__(self, url: str, config: Mapping[str, str] | None = None) -> None:
        """Open a prefix, with settings as ``open_bucket`` takes them.

        Raises:
            MissingExtraError: obstore is not installed.
            InvalidInputError: The URL names no bucket or no credentials are found for it.
        """
        self._obstore, self._store, prefix = open_bucket(url, f"Keeping files in {url}", config)
        self._errors: Any = import_module("obstore.exceptions")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._is_azure = not url.startswith("s3")
        self.where = url.rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over what is there."""
        self._call(self._obstore.put, self._prefix + key, data, use_multipart=False)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; tell whether it was written."""
        try:
            self._obstore.put(self._store, self._prefix + key, data, mode="create")
        except self._errors.AlreadyExistsError:
            return False
        except Exception as error:
            raise translated(error, self.where) from error
        return True

    def put_file(self, key: str, path: Path) -> None:
        """Write an object of any size, in parts."""
        # Ten thousand parts are the most that S3 takes.
        part = max(PART_BYTES, -(-path.stat().st_size // 9_000))
        self._call(
            self._obstore.put, self._prefix + key, path, chunk_size=part, max_concurrency=PARTS
        )

    def find(self, key: str) -> Found | None:
        """Look for an object."""
        try:
            return self._found(self._obstore.head(self._store, self._prefix + key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise translated(error, self.where) from error

    def list(self, prefix: str) -> Iterator[Found]:
        """List what lies below a prefix."""
        try:
            below = (self._prefix + prefix).rstrip("/") or None
            for page in self._obstore.list(self._store, prefix=below, chunk_size=1000):
                yield from map(self._found, page)
        except Exception as error:
            raise translated(error, self.where) from error

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes] | None:
        """Stream an object, or a part of it; None when there is none."""
        options: dict[str, Any] = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        try:
            answer = self._obstore.get(self._store, self._prefix + key, options=options)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise translated(error, self.where) from error
        return self._chunks(answer)

    def _chunks(self, answer: Any) -> Iterator[bytes]:  # noqa: ANN401 - obstore has types for readers only
        try:
            for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except Exception as error:
            raise translated(error, self.where) from error

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are passed over."""
        for at in range(0, len(keys), 1000):
            some = [self._prefix + key for key in keys[at : at + 1000]]
            try:
                self._obstore.delete(self._store, some)
            except FileNotFoundError:
                # Azure stops at one that is missing: then each for itself.
                for key in some:
                    self._delete_one(key)
            except Exception as error:
                raise translated(error, self.where) from error

    def _delete_one(self, key: str) -> None:
        try:
            self._obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise translated(error, self.where) from error

    def sign(self, method: str, key: str, expires_s: int) -> Signed | None:
        """Make an address for one request without credentials."""
        try:
            url = self._obstore.sign(
                self._store, method, self._prefix + key, timedelta(seconds=expires_s)
            )
        except Exception as error:
            raise translated(error, self.where) from error
        needs_kind = self._is_azure and method == "PUT"
        return Signed(str(url), {"x-ms-blob-type": "BlockBlob"} if needs_kind else {})

    def _call(self, work: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return work(self._store, *arguments, **named)
        except Exception as error:
            raise translated(error, self.where) from error

    def _found(self, meta: dict[str, Any]) -> Found:
        key = meta["path"].removeprefix(self._prefix)
        return Found(key, meta["size"], meta["last_modified"].timestamp())
