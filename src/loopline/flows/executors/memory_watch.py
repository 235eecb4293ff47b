"""Watches how much memory a group of processes has."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryWatch", "group_bytes"]

#: Seconds between two looks at the process, and how many of them make a look at its whole group.
_EVERY_S = 0.02
_GROUP_EVERY = 10
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_HAS_PROC = Path("/proc/self/statm").exists()


class MemoryWatch(threading.Thread):
    """Calls ``stop`` once a process, or its group together, has more than ``most_bytes``.

    Attributes:
        found: How much that was; 0 when it never was more.
    """

    def __init__(self, pid: int, most_bytes: int, stop: Callable[[], None]) -> None:
        super().__init__(name="loopline memory watch", daemon=True)
        self.found = 0
        self._pid = pid
        self._most_bytes = most_bytes
        self._stop = stop
        self._is_over = threading.Event()
        self.start()

    def run(self) -> None:
        """Look until told to end."""
        looks = 0
        while not self._is_over.wait(_EVERY_S if _HAS_PROC else _EVERY_S * _GROUP_EVERY):
            whole = looks % _GROUP_EVERY == 0 or not _HAS_PROC
            looks += 1
            size = group_bytes(self._pid) if whole else _process_bytes(self._pid)
            if size > self._most_bytes:
                self.found = size
                self._stop()
                return

    def end(self) -> None:
        """Look no more."""
        self._is_over.set()
        self.join()


def group_bytes(group: int) -> int:
    """Sum up the memory of the processes of a group."""
    if not _HAS_PROC:
        return _told_by_ps(group)
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and _group_of(entry.name) == group:
            total += _process_bytes(int(entry.name))
    return total


def _group_of(pid: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        # The name of the program stands in parentheses and may hold anything.
        return int(
            Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[2]
        )
    return 0


def _process_bytes(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _told_by_ps(group: int) -> int:
    words = ["ps", "-axo", "pgid=,rss="]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603
    rows = (line.split() for line in found.splitlines())
    return sum(int(size) * 1024 for own, size in rows if int(own) == group)
