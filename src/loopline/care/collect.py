"""Collecting garbage: blobs that nothing names any more, and files that were left half-made.

A blob may be ahead of the fact that names it, so what was put or asked for within the grace time
is never touched. What is older is looked for again under the store's write lock, moved out of
the way, and looked at once more before it is deleted: a client that put or asked for it at that
very moment has made it young, and it is moved back.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs.stores import forget_store
from loopline.care.files import blob_path
from loopline.care.hold import hold_blobs
from loopline.care.neighbours import Neighbours
from loopline.care.progress import silent
from loopline.care.references import read_references, still_referenced
from loopline.care.strays import MOVED, Stray, find_strays, now_of, remove_strays
from loopline.errors import InvalidInputError
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.backend.local import LocalBackend
    from loopline.care.progress import Progress

__all__ = [
    "Collected",
    "Garbage",
    "collect_garbage",
    "find_garbage",
    "forget",
    "renew_blobs",
]

#: Blobs looked for again and moved away under one write lock.
_AT_ONCE = 500
_FOLDER = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{64}\Z")


class Garbage(Record, frozen=True, kw_only=True):
    """What could be freed.

    Attributes:
        blobs: SHA-256 and size in bytes of blobs that no store names.
        strays: What was left half-made.
        needed: How many blobs are named.
        young: How many are not, but may be soon: they were put or asked for a short while ago.
        grace_s: How long a short while is.
    """

    blobs: list[tuple[str, int]]
    strays: list[Stray]
    needed: int
    young: int
    grace_s: float

    @property
    def size_bytes(self) -> int:
        """Bytes that would be freed."""
        return sum(size for _, size in self.blobs) + sum(each.size_bytes for each in self.strays)


class Collected(Record, frozen=True, kw_only=True):
    """What was freed.

    Attributes:
        kept: Blobs that somebody has begun to need since they were found.
    """

    blobs: int
    strays: int
    freed_bytes: int
    kept: int


def find_garbage(backend: LocalBackend, *, grace_s: float, also: Sequence[str] = ()) -> Garbage:
    """Find what could be freed; nothing is changed.

    Args:
        backend: The store, and its folder of blobs.
        grace_s: A blob that was put or asked for in this time is left alone.
        also: Addresses of other stores on the same folder that cannot be found by themselves.

    Raises:
        ConflictError: A store that uses the same folder cannot be asked what it needs.
    """
    root = backend.blobs.root
    _move_back(root)
    needed = Neighbours(backend, also).references()
    with backend.store.read() as connection:
        needed |= read_references(connection).everything
    before = now_of(root) - grace_s
    blobs, young, named = [], 0, 0
    for path, stat in _blobs_in(root):
        if bytes.fromhex(path.name) in needed:
            named += 1
        elif stat.st_mtime >= before:
            young += 1
        else:
            blobs.append((path.name, stat.st_size))
    return Garbage(
        blobs=blobs,
        strays=list(find_strays(backend)),
        needed=named,
        young=young,
        grace_s=grace_s,
    )


def collect_garbage(
    backend: LocalBackend,
    garbage: Garbage,
    *,
    also: Sequence[str] = (),
    progress: Progress = silent,
) -> Collected:
    """Free what was found, as far as nobody needs it meanwhile.

    Raises:
        ConflictError: A backup is under way.
    """
    root = backend.blobs.root
    blobs = freed = 0
    with hold_blobs(root, alone=True):
        _move_back(root)
        elsewhere = Neighbours(backend, also).references()
        before = now_of(root) - garbage.grace_s
        sizes = dict(garbage.blobs)
        wanted = [digest for digest in sizes if bytes.fromhex(digest) not in elsewhere]
        for at in range(0, len(wanted), _AT_ONCE):
            for path in _move_away(backend, wanted[at : at + _AT_ONCE], before):
                size = path.stat().st_size
                path.unlink()
                blobs += 1
                freed += size
            progress("blobs", min(at + _AT_ONCE, len(wanted)), len(wanted))
        strays = remove_strays(garbage.strays)
        freed += sum(stray.size_bytes for stray in strays)
    kept = len(garbage.blobs) - blobs
    return Collected(blobs=blobs, strays=len(strays), freed_bytes=freed, kept=kept)


def renew_blobs(root: Path, digests: set[str]) -> None:
    """Begin the grace time of blobs anew: what named them goes, and others may just name them."""
    for digest in digests:
        if _NAME.match(digest):
            with suppress(FileNotFoundError, PermissionError):
                os.utime(root / blob_path(digest))


def _move_away(backend: LocalBackend, digests: list[str], before: float) -> list[Path]:
    """Move blobs away that are still nobody's; answer where they are now.

    Under the store's write lock no fact that names them can come in between.
    """
    root = backend.blobs.root
    (root / "tmp").mkdir(exist_ok=True)
    moved = []
    with backend.store.write() as connection:
        needed = still_referenced(connection, [bytes.fromhex(each) for each in digests])
        for digest in digests:
            path = root / blob_path(digest)
            if bytes.fromhex(digest) in needed or not _is_older(path, before):
                continue
            away = root / "tmp" / f"{MOVED}{digest}"
            path.rename(away)
            # Whoever made it young before the move heard that it is here; afterwards, that it
            # is not, and puts it again.
            if _is_older(away, before):
                moved.append(away)
            else:
                away.replace(path)
    return moved


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False


def _move_back(root: Path) -> None:
    """Move back what an interrupted collection had moved away."""
    for away in (root / "tmp").glob(f"{MOVED}*"):
        digest = away.name.removeprefix(MOVED)
        if _NAME.match(digest):
            (root / digest[:2]).mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                away.rename(root / blob_path(digest))


def _blobs_in(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        if not _FOLDER.match(folder.name):
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if _NAME.match(entry.name):
                    with suppress(FileNotFoundError):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)


def forget(backend: LocalBackend, where: str) -> None:
    """Take back the note that another store uses the same blobs.

    Raises:
        InvalidInputError: There is no such note.
    """
    if not forget_store(backend.blobs.root, where):
        msg = f"No store {where!r} has left a note in {backend.blobs.root / 'stores'}."
        raise InvalidInputError(msg)
