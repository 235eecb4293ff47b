"""Where a backup goes: a folder that is brought up to date, or one tar file made anew.

Both write the manifest last. Until then a new archive has no name, and a folder still has the
manifest of the backup before, whose files are all there.
"""

from __future__ import annotations

import io
import os
import tarfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from loopline.care.files import PART, blob_path, copy_hashed, write_whole
from loopline.care.manifest import NAME, BackedUpFile, Manifest, decode_manifest, encode_manifest
from loopline.disk import sync_folder
from loopline.errors import IntegrityError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from loopline.blobs.protocol import Blobs

__all__ = ["ARCHIVES", "BLOBS", "LOCK", "ArchiveTarget", "BlobSource", "FolderTarget", "Target"]

BLOBS = "blobs"
LOCK = "backup.lock"
_DATABASE = "database-"
#: What SQLite has beside a copy of a database while it is made.
_JOURNAL = "-journal"
#: Endings that mean one file; all but the first are compressed.
ARCHIVES = (".tar", ".tar.gz", ".tgz")


class BlobSource:
    """A blob to be copied from where it is kept."""

    def __init__(self, place: Blobs, digest: str, size_bytes: int) -> None:
        self.digest = digest
        self.size_bytes = size_bytes
        self._place = place
        #: Its file; None where it lies on no disk of this machine.
        self.path = None if place.folder is None else place.folder / blob_path(digest)

    def open(self) -> BinaryIO:
        """Open it without checking it: whoever copies does."""
        if self.path is not None:
            return self.path.open("rb")
        # All of it as a part, which is not checked.
        return io.BufferedReader(_Chunks(self._place.read(self.digest, end=self.size_bytes)))


class _Chunks(io.RawIOBase):
    """A stream of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that can be written to
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class Target(Protocol):
    """Takes the parts of a backup in the order of these methods."""

    #: Where the copy of the database is to be made.
    database: Path

    def add_database(self, kept_as: BackedUpFile) -> None:
        """Take the database, which lies at ``database``."""
        ...

    def has_blob(self, digest: str, size_bytes: int) -> bool:
        """Tell whether a blob need not be added."""
        ...

    def add_blob(self, source: BlobSource, heard: Callable[[int], None]) -> bool:
        """Take a blob; tell whether its bytes had the hash."""
        ...

    def finish(self, manifest: Manifest) -> None:
        """Make it a whole backup."""
        ...


class FolderTarget:
    """A backup as a folder: ``manifest.json``, ``database-<time>``, ``blobs/ab/abcdef…``."""

    def __init__(self, root: Path, *, stamp: str, link: bool) -> None:
        """Use a folder that is locked by this process.

        Raises:
            InvalidInputError: It holds something else.
        """
        self.root = root
        self._link = link
        self._there = _what_is_there(root)
        self.database = root / f"{_DATABASE}{stamp}{PART}"
        self._blobs = root / BLOBS
        self._kept: set[str] = set()
        self._folders: set[Path] = set()
        unfinished = (f"*{PART}", f"*{PART}{_JOURNAL}", f"{BLOBS}/*/*{PART}")
        for left in (path for pattern in unfinished for path in root.glob(pattern)):
            left.unlink()

    def add_database(self, kept_as: BackedUpFile) -> None:
        """Give the database its name; the manifest makes it count."""
        self.database.replace(self.root / kept_as.path)
        self._kept.add(kept_as.path)

    def has_blob(self, digest: str, size_bytes: int) -> bool:
        """Tell whether a blob is there; whole, because it has its name."""
        try:
            there = (self._blobs / blob_path(digest)).stat().st_size == size_bytes
        except FileNotFoundError:
            return False
        if there:
            self._kept.add(digest)
        return there

    def add_blob(self, source: BlobSource, heard: Callable[[int], None]) -> bool:
        """Copy a blob, or link it when asked to and the disk is the same."""
        digest = source.digest
        target = self._blobs / blob_path(digest)
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        if self._link and source.path is not None and _linked(source.path, target):
            heard(source.size_bytes)
        else:
            with source.open() as file:
                if not copy_hashed(file, target, digest, heard):
                    return False
        self._kept.add(digest)
        return True

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, then delete what only the backup before needed."""
        for folder in self._folders:
            sync_folder(folder)
        if self._folders:
            sync_folder(self._blobs)
        sync_folder(self.root)
        write_whole(self.root / NAME, encode_manifest(manifest))
        for path in (*self.root.glob(f"{_DATABASE}*"), *self._blobs.glob("*/*")):
            if path.name not in self._kept:
                path.unlink()


class ArchiveTarget:
    """A backup as one tar file, which gets its name when it is whole."""

    def __init__(self, path: Path, *, stamp: str) -> None:
        """Write to a path; what is there is replaced at the end."""
        self._path = path
        self._part = path.with_name(path.name + PART)
        self.database = path.with_name(f".{path.name}.{_DATABASE}{stamp}{PART}")
        for ending in (PART, PART + _JOURNAL):
            for left in path.parent.glob(f".{path.name}.{_DATABASE}*{ending}"):
                left.unlink()
        self._file = self._part.open("wb")
        # Closed by `finish` or `close`.
        if path.name.endswith(ARCHIVES[0]):
            self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115
        else:
            self._tar = tarfile.open(fileobj=self._file, mode="w:gz")  # noqa: SIM115

    def add_database(self, kept_as: BackedUpFile) -> None:
        """Put the database in and delete the copy."""
        self._tar.add(self.database, kept_as.path, filter=_anonymous)
        self.database.unlink()

    def has_blob(self, digest: str, size_bytes: int) -> bool:
        """Tell that it is not there: the archive is new."""
        del digest, size_bytes
        return False

    def add_blob(self, source: BlobSource, heard: Callable[[int], None]) -> bool:
        """Put a blob in; a damaged one is in the archive, too, but not in its manifest."""
        digest = source.digest
        with source.open() as file:
            reader = _HashingReader(file, heard)
            info = tarfile.TarInfo(f"{BLOBS}/{blob_path(digest)}")
            info.size = source.size_bytes
            info.mode = 0o444
            self._tar.addfile(info, reader)
        return reader.hexdigest() == digest

    def finish(self, manifest: Manifest) -> None:
        """Put the manifest in and give the archive its name."""
        data = encode_manifest(manifest)
        info = tarfile.TarInfo(NAME)
        info.size, info.mtime = len(data), manifest.taken_ms // 1000
        self._tar.addfile(info, io.BytesIO(data))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        sync_folder(self._path.parent)

    def close(self) -> None:
        """Leave nothing behind when it was not finished."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self.database.unlink(missing_ok=True)


class _HashingReader(io.RawIOBase):
    """Hashes what is read through it."""

    def __init__(self, file: BinaryIO, heard: Callable[[int], None]) -> None:
        self._inner = file
        self._heard = heard
        self._hasher = sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._inner.read(size)
        self._hasher.update(data)
        self._heard(len(data))
        return data

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


def _what_is_there(root: Path) -> Manifest | None:
    """Read the backup that a folder holds; None for an empty or an interrupted one.

    Raises:
        InvalidInputError: The folder is used for something else.
    """
    try:
        return decode_manifest((root / NAME).read_bytes(), root)
    except IntegrityError:
        return None  # It is replaced by a good one now.
    except FileNotFoundError:
        ours = {LOCK, BLOBS, NAME}
        for path in root.iterdir():
            if path.name not in ours and not path.name.startswith(_DATABASE):
                msg = (
                    f"{root} holds {path.name} and no backup of Loopline. Give a new or empty "
                    "folder, or a file that ends in .tar."
                )
                raise InvalidInputError(msg) from None
        return None


def _linked(source: Path, target: Path) -> bool:
    """Link a file; tell whether the disk allows it. Blobs are never changed in place."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        target.unlink()
        return _linked(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made it."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
