"""Objects and prefixes in buckets as data: ``s3://``, ``gs://`` and ``az://``, through obstore.

Digests are those of the bytes: the same files have the same digest in a bucket and in a folder.
An object whose ETag is known is not downloaded again. Credentials, regions and endpoints come
from where the clouds' own tools take them: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...
"""

from __future__ import annotations

import io
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.backend.recorder import current_home
from loopline.blobs.objects import is_bucket_url
from loopline.blobs.obstore_objects import open_bucket, translated
from loopline.data.cache import FileCache
from loopline.data.files import HashedFile, folder_digest
from loopline.data.formats import describe_files, format_of
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.data.profile import Description

__all__ = ["BucketSource", "is_bucket_url"]

CHUNK_BYTES = 1 << 22


class _Object(NamedTuple):
    """An object of a bucket, as a listing has it."""

    path: str
    size: int
    tag: str


class BucketSource:
    """An object (``kind`` is then ``"file"``) or all objects below a prefix (``"folder"``)."""

    def __init__(self, url: str) -> None:
        """Open the bucket; nothing is read yet.

        Raises:
            MissingExtraError: obstore is not installed.
            InvalidInputError: The URL names no bucket or no credentials are found for it.
            NotFoundError: Nothing is there.
        """
        purpose = f"Reading {url.partition('/')[0]}// data"
        self._obstore, self._store, key = open_bucket(url, purpose)
        self._url = url
        self._key = key.rstrip("/")
        self._hashed: list[HashedFile] = []
        self.origin = url
        self.label = self._key.rpartition("/")[2] or url.split("/")[2]
        head = None if not self._key or key.endswith("/") else self._head()
        self.kind = "folder" if head is None else "file"
        self._objects = self._list() if head is None else [head]

    def digest(self) -> str:
        """Hash the objects' bytes, or find their hashes by their ETags in the cache."""
        with FileCache(current_home()) as cache:
            self._hashed = [self._hash(one, cache) for one in self._objects]
        if self.kind == "file":
            return self._hashed[0].sha256
        return folder_digest(self._hashed)

    def forget(self) -> None:
        """Nothing is held."""

    def size_bytes(self) -> int | None:
        """Tell how long all objects are together."""
        return sum(file.size_bytes for file in self._hashed)

    def form(self) -> str | None:
        """Tell the format of one object; the names of several are in the digest."""
        return "" if self.kind == "folder" else format_of(self.label) or None

    def describe(self) -> Description:
        """Describe the table that the objects hold, reading no more of them than is needed."""
        return describe_files(
            [(self._name(one), partial(self._reader, one)) for one in self._objects]
        )

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Download the objects, one at a time."""
        target = folder / "object"
        for one in self._objects:
            with target.open("wb") as file:
                for chunk in self._chunks(one):
                    file.write(chunk)
            yield self._name(one), target

    def _name(self, one: _Object) -> str:
        """Name an object within the data: relative to the prefix, or by its last part."""
        if self.kind == "file":
            return self.label
        return one.path[len(self._key) :].lstrip("/") if self._key else one.path

    def _head(self) -> _Object | None:
        try:
            return _object(self._obstore.head(self._store, self._key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise translated(error, self._url) from error

    def _list(self) -> list[_Object]:
        prefix = f"{self._key}/" if self._key else None
        try:
            found = [
                _object(meta)
                for page in self._obstore.list(self._store, prefix=prefix)
                for meta in page
            ]
        except Exception as error:
            raise translated(error, self._url) from error
        # Consoles make empty objects that stand for folders; a folder on disk has none.
        objects = sorted(one for one in found if not (one.size == 0 and one.path.endswith("/")))
        if not objects:
            msg = f"There is nothing at {self._url}. Check the bucket and the key."
            raise NotFoundError(msg)
        return objects

    def _hash(self, one: _Object, cache: FileCache) -> HashedFile:
        key = f"object:{self._url}:{one.path}:{one.size}:{one.tag}"
        known = cache.document(key) if one.tag else None
        if known is None:
            hasher = sha256()
            for chunk in self._chunks(one):
                hasher.update(chunk)
            known = hasher.hexdigest()
            if one.tag:
                cache.put_document(key, known)
        return HashedFile(self._name(one), known, one.size)

    def _chunks(self, one: _Object) -> Iterator[bytes]:
        """Download an object as it was listed."""
        try:
            answer = self._obstore.get(self._store, one.path)
            is_same = _object(answer.meta) == one
            for chunk in answer.stream(min_chunk_size=CHUNK_BYTES) if is_same else ():
                yield bytes(chunk)
        except Exception as error:
            raise translated(error, self._url) from error
        if not is_same:
            msg = f"{one.path} in {self._url} changed while it was read. Try again."
            raise InvalidInputError(msg)

    def _reader(self, one: _Object) -> io.BufferedReader:
        return io.BufferedReader(_Ranges(self._obstore, self._store, one), CHUNK_BYTES)


class _Ranges(io.RawIOBase):
    """An object as a file: what is read of it is asked for by its range."""

    def __init__(self, obstore: Any, store: Any, one: _Object) -> None:  # noqa: ANN401
        self._obstore = obstore
        self._store = store
        self._one = one
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._one.size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that can be written to
        length = min(len(buffer), self._one.size - self._at)
        if length <= 0:
            return 0
        try:
            got = self._obstore.get_range(
                self._store, self._one.path, start=self._at, length=length
            )
        except Exception as error:
            msg = f"{self._one.path} could not be read: {error}"
            raise OSError(msg) from error
        buffer[:length] = memoryview(got)
        self._at += length
        return length


def _object(meta: dict[str, Any]) -> _Object:
    return _Object(meta["path"], meta["size"], meta.get("e_tag") or meta.get("version") or "")
