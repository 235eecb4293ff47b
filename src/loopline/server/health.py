"""``/health``: that the server is there, and whether its disks will soon be full.

Everybody may ask, so it tells nothing else: no paths and no sizes.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.care.doctor.home import RESERVE

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["Health"]

#: Seconds for which a look at the disks counts.
FRESH_S = 5.0


class Health:
    """What ``/health`` answers."""

    def __init__(self, backend: Backend) -> None:
        """Look at the disks of a backend's store and files."""
        self._folders: list[Path] = []
        if isinstance(backend, LocalBackend):
            self._folders = [] if backend.blobs.folder is None else [backend.blobs.folder]
            if backend.store.is_sqlite:
                self._folders.append(Path(backend.store.where).parent)
        self._looked = -FRESH_S
        self._answer = {"status": "ok"}

    def answer(self) -> dict[str, str]:
        """Answer ``ok``, or ``warning`` with a message."""
        now = time.monotonic()
        if now - self._looked >= FRESH_S:
            self._looked = now
            self._answer = self._look()
        return self._answer

    def _look(self) -> dict[str, str]:
        for folder in self._folders:
            there = next((each for each in (folder, *folder.parents) if each.is_dir()), folder)
            try:
                usage = shutil.disk_usage(there)
            except OSError:
                return {"status": "warning", "message": "A disk of this server cannot be read."}
            if usage.free < RESERVE * usage.total:
                message = (
                    f"Less than {RESERVE:.0%} of a disk of this server is free. When it is full, "
                    "nothing more is taken: free some space with `loopline gc`."
                )
                return {"status": "warning", "message": message}
        return {"status": "ok"}
