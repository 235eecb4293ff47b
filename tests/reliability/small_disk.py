"""A small disk that can be filled to the last byte, and freed again.

As root it is a file system of its own in memory. Elsewhere, and where root may not mount, the
processes that are told of it may write no more bytes to any file (RLIMIT_FSIZE, which the system
reports as a file that is too large): what a user's quota looks like to a program.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KINDS", "SmallDisk"]

KINDS = ("mounted", "limited")
_SIZE = "24m"
#: Sizes of the writes that fill it: soon, and then to the last page.
_WRITES = (1 << 20, 1 << 16, 1 << 12)


class SmallDisk:
    """A disk for the processes of a test.

    Attributes:
        root: A folder on it.
        is_mounted: Whether it is a file system of its own; else only ``of`` feel it.
    """

    def __init__(self, root: Path, kind: str) -> None:
        """Make it; ``mounted`` where that can be."""
        self.root = root
        root.mkdir()
        self.is_mounted = kind == "mounted" and _mounted(root)
        self._of: list[subprocess.Popen[str]] = []

    def of(self, process: subprocess.Popen[str]) -> None:
        """Take a process in that writes to it."""
        self._of.append(process)

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Leave no room, or as much as said: in all, or for each file from its beginning."""
        if not self.is_mounted:
            self._limit(leave_bytes)
            return
        with (self.root / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            for size in _WRITES:
                while shutil.disk_usage(self.root).free >= leave_bytes + size:
                    if file.write(bytes(size)) < size:  # Somebody else took it.
                        break

    def free(self) -> None:
        """Make room again."""
        if self.is_mounted:
            (self.root / "ballast").unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, most_bytes: int) -> None:
        for process in self._of:
            if process.poll() is None:
                limits = (most_bytes, resource.RLIM_INFINITY)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)

    def close(self) -> None:
        """Be gone; its processes must be."""
        if self.is_mounted:
            subprocess.run(["umount", self.root], check=True)  # noqa: S607


def _mounted(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode == 0
