"""Files of models kept on this machine by their content: what is here is not fetched again.

Most files of a model's next version are those of the last: its requirements, its environment, its
example. A kept file is a hard link into the folder of the model that brought it, so that it takes
no room of its own.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from loopline.blobs.digest import hash_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KeptFiles"]


class KeptFiles:
    """Files in ``cache/files`` of a home, by hash; any of them may go at any time."""

    def __init__(self, home: Path) -> None:
        """Use the cache of a home."""
        self._root = home / "cache" / "files"

    def give(self, digest: str, path: Path) -> bool:
        """Put a kept file at ``path``; tell whether it was there, with the bytes it must have."""
        kept = self._path(digest)
        try:
            os.link(kept, path)
        except OSError:  # None is there, or this file system has no such links.
            return False
        if hash_file(path) == digest:
            return True
        path.unlink()
        kept.unlink(missing_ok=True)
        return False

    def keep(self, digest: str, path: Path) -> None:
        """Keep a file that was fetched, where the file system can."""
        kept = self._path(digest)
        link = kept.with_name(f".{kept.name}-{uuid.uuid4().hex}")
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
            link.replace(kept)
            link.unlink(missing_ok=True)  # Where both were the same file, nothing was replaced.
        except OSError:
            return

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest
