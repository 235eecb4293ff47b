"""Collecting garbage in a folder of blobs.

A blob is moved out of the way under the store's write lock and looked at once more before it is
deleted: a client that put or asked for it at that very moment has made it young, and it is moved
back.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.blobs.protocol import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loopline.blobs.protocol import StillNeeded

__all__ = ["MOVED", "blobs_in", "move_back", "now_of", "remove_unneeded", "renew"]

#: Name in ``tmp/`` of a blob between being moved away and deleted.
MOVED = "gc-"
#: Blobs looked for again and moved away under one write lock.
_AT_ONCE = 500
_FOLDER = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{64}\Z")


def now_of(root: Path) -> float:
    """Ask the disk what time it is: it is its clock that stamps the files."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=root, prefix=".now-") as file:
        return min(Path(file.name).stat().st_mtime, time.time())


def blobs_in(root: Path) -> Iterator[Kept]:
    """List the blobs of a folder."""
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        if not _FOLDER.match(folder.name):
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if _NAME.match(entry.name):
                    with suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        yield Kept(entry.name, stat.st_size, stat.st_mtime)


def renew(root: Path, digests: Iterable[str]) -> None:
    """Begin the grace time of blobs anew."""
    for digest in digests:
        if _NAME.match(digest):
            with suppress(FileNotFoundError, PermissionError):
                os.utime(_path(root, digest))


def remove_unneeded(
    root: Path, digests: Sequence[str], before: float, still_needed: StillNeeded
) -> Iterator[tuple[str, int]]:
    """Remove blobs that are still old and nobody's; see ``Blobs.remove``."""
    move_back(root)
    for at in range(0, len(digests), _AT_ONCE):
        some = digests[at : at + _AT_ONCE]
        for away in _move_away(root, some, before, still_needed):
            size = away.stat().st_size
            away.unlink()
            yield away.name.removeprefix(MOVED), size


def move_back(root: Path) -> None:
    """Move back what an interrupted collection had moved away."""
    for away in (root / "tmp").glob(f"{MOVED}*"):
        digest = away.name.removeprefix(MOVED)
        if _NAME.match(digest):
            (root / digest[:2]).mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                away.rename(_path(root, digest))


def _move_away(
    root: Path, digests: Sequence[str], before: float, still_needed: StillNeeded
) -> list[Path]:
    """Move blobs away that are still nobody's; answer where they are now.

    Under the store's write lock no fact that names them can come in between.
    """
    (root / "tmp").mkdir(exist_ok=True)
    moved = []
    with still_needed(digests) as needed:
        for digest in digests:
            path = _path(root, digest)
            if digest in needed or not _is_older(path, before):
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


def _path(root: Path, digest: str) -> Path:
    return root / digest[:2] / digest
