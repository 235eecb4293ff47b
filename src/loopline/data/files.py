"""Files and folders as data: their digests, read once and known afterwards by a stat."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from loopline.data.cache import FileKey
from loopline.errors import InvalidInputError
from loopline.rules.manifest import manifest_digest

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.data.cache import FileCache

__all__ = ["HashedFile", "folder_digest", "hash_file", "hash_folder"]

#: Files of a folder hashed at the same time.
THREADS = 4
#: How often a file that changes while it is read is read again.
TRIES = 3


class HashedFile(NamedTuple):
    """A file of a folder.

    Attributes:
        path: Relative to the folder, with ``/`` between its parts.
        sha256: Hash of the content in hex.
    """

    path: str
    sha256: str
    size_bytes: int


def hash_file(path: Path, cache: FileCache) -> tuple[str, int]:
    """Hash a file, or find the hash in the cache; answer it with the size in bytes.

    The hash is what ``sha256sum`` prints.

    Raises:
        InvalidInputError: The file goes on changing while it is read.
    """
    key = FileKey.of(path.stat())
    known = cache.sha256(key)
    return (known, key.size) if known is not None else _read(path, cache)


def _read(path: Path, cache: FileCache) -> tuple[str, int]:
    """Hash a file by reading it; safe to call from several threads."""
    for _ in range(TRIES):
        began_ns = time.time_ns()
        with path.open("rb") as file:
            before = FileKey.of(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = FileKey.of(os.fstat(file.fileno()))
        if before == after:
            cache.put(after, digest, began_ns=began_ns)
            return digest, after.size
    msg = f"{path} changes while it is read. Describe it when nobody writes to it any more."
    raise InvalidInputError(msg)


def hash_folder(root: Path, cache: FileCache) -> list[HashedFile]:
    """Hash every file below a folder, hidden ones too, in the order of their paths.

    Links are followed; empty folders, sockets and pipes do not count.

    Raises:
        InvalidInputError: It has no files, a name in it is not text, or a link leads in a circle.
    """
    found = _walk(root, "", (_identity(root),))
    if not found:
        msg = f"There are no files in {str(root)!r} to describe. Give a folder with data in it."
        raise InvalidInputError(msg)
    known, missing = [], []
    # SQLite's connection stays in this thread; the others only hash.
    for name in found:
        key = FileKey.of((root / name).stat())
        digest = cache.sha256(key)
        if digest is None:
            missing.append(name)
        else:
            known.append(HashedFile(name, digest, key.size))
    with ThreadPoolExecutor(THREADS) as pool:
        for name, (digest, size) in zip(
            missing, pool.map(lambda name: _read(root / name, cache), missing), strict=True
        ):
            known.append(HashedFile(name, digest, size))
    return sorted(known)


def folder_digest(files: list[HashedFile]) -> str:
    """Hash what is in a folder: the paths and the contents, not where the folder lies."""
    return manifest_digest((file.path, file.sha256) for file in files)


def _walk(folder: Path, below: str, above: tuple[tuple[int, int], ...]) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            try:
                name.encode()
            except UnicodeEncodeError:
                msg = f"The file name {name!r} is not text. Rename the file."
                raise InvalidInputError(msg) from None
            path = folder / entry.name
            if entry.is_dir():
                here = _identity(path)
                if here in above:
                    msg = f"The link {path} leads in a circle. Remove it, or give another folder."
                    raise InvalidInputError(msg)
                found += _walk(path, f"{name}/", (*above, here))
            elif entry.is_file():
                found.append(name)
            elif entry.is_symlink():
                msg = f"The link {path} leads nowhere. Remove it, or bring its file back."
                raise InvalidInputError(msg)
    return found


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino
