"""Files and folders that were never finished: uploads cut short, journals half made."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs.local_gc import MOVED, now_of
from loopline.care.place import home_path
from loopline.journal.journal import try_lock
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.backend.local import LocalBackend

__all__ = ["STRAY_S", "Stray", "find_strays", "remove_strays"]

#: Half-made files that nobody has written to for this long belong to nobody.
STRAY_S = 3600.0


class Stray(Record, frozen=True, kw_only=True):
    """A file or folder that was never finished."""

    path: str
    size_bytes: int


def find_strays(backend: LocalBackend) -> Iterator[Stray]:
    """Find what nobody has written to for an hour."""
    root = backend.blobs.folder
    home = home_path(backend.address)
    places = [(backend.staging, "*")]
    if root is not None:
        places += [(root / "tmp", "*"), (root, ".now-*"), (root / "stores", "*.part")]
    if home is not None:
        places += [
            (home, "restoring-*"),
            (home / "journal", ".*"),
        ]
    before = now_of(root or backend.staging) - STRAY_S
    for folder, pattern in places:
        for path in sorted(folder.glob(pattern)):
            with suppress(FileNotFoundError):
                if not path.name.startswith(MOVED) and _newest(path) < before:
                    yield Stray(path=str(path), size_bytes=_size(path))


def remove_strays(strays: list[Stray]) -> list[Stray]:
    """Remove what was found; answer what was, for somebody may have had it after all."""
    return [stray for stray in strays if _remove(Path(stray.path))]


def _newest(path: Path) -> float:
    return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))


def _size(path: Path) -> int:
    return sum(each.lstat().st_size for each in (path, *path.rglob("*")) if not each.is_dir())


def _remove(path: Path) -> bool:
    """Remove a file, or a half-made journal that nobody holds."""
    if not path.is_dir():
        with suppress(FileNotFoundError):
            path.unlink()
            return True
        return False
    handle = try_lock(path, create=True)
    if handle is None:
        return False
    try:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)
    return True
