"""Room for the models kept on this machine: those used longest ago go first.

A home has them below ``cache``: ``models/<digest>`` is a folder of one model's files, ``files`` has
each of these files once more, by its hash, as a hard link (``kept``). What both take together is
bounded by ``LOOPLINE_CACHE_GB``.

A process that loads from a folder holds it by a shared lock (a file in ``held``), for its last
models as long as it lives, as some formats read their files late. Nobody removes what is held, and
who comes while it is removed waits until it has gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import uuid
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from loopline.settings import number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CACHE_GB", "Room", "hold", "limit_bytes", "make_room", "measure"]

#: What the cache of models takes at most when nobody says.
CACHE_GB = 20
#: Folders that a process holds at once; of those before, it has surely read what it will.
MOST_HELD = 16
#: After so long, what somebody was making is no longer made.
HALF_MADE_S = 86_400.0

_held: OrderedDict[Path, int] = OrderedDict()
_guard = threading.Lock()


def _after_fork() -> None:
    """Let a child not wait for a thread of its parent; what the parent holds, it holds, too."""
    global _guard  # noqa: PLW0603 - one a process
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class _Kept(NamedTuple):
    """A file's bytes: the same however many names it has."""

    device: int
    inode: int


class _Folder(NamedTuple):
    path: Path
    used_ns: int
    files: list[_Kept]


class Room:
    """What there is in the cache of a home.

    Attributes:
        size_bytes: What it takes, with each file once.
        models: How many models' folders there are.
    """

    def __init__(self, home: Path) -> None:
        """Look at all of it: a look at each file's size."""
        self._models = home / "cache" / "models"
        self._sizes: dict[_Kept, int] = {}
        #: Names of bytes below ``files``, and how many folders have them.
        self._kept: dict[_Kept, Path] = {}
        self._uses: Counter[_Kept] = Counter()
        self._folders: list[_Folder] = []
        self._half_made: list[Path] = []
        for path in _listed(self._models):
            if path.name.startswith("."):
                self._half_made.append(path)
            elif path.is_dir():
                self._add(path)
        for path in (
            each for folder in _listed(home / "cache" / "files") for each in _listed(folder)
        ):
            with suppress(FileNotFoundError):
                self._kept[self._see(path)] = path
        self.models = len(self._folders)
        self.size_bytes = sum(self._sizes.values())

    def _see(self, path: Path) -> _Kept:
        stat = path.stat()
        key = _Kept(stat.st_dev, stat.st_ino)
        self._sizes[key] = stat.st_size
        return key

    def _add(self, folder: Path) -> None:
        with suppress(FileNotFoundError):  # Somebody else has just removed it.
            files = [self._see(path) for path in folder.rglob("*") if path.is_file()]
            self._uses.update(set(files))
            self._folders.append(_Folder(folder, folder.stat().st_mtime_ns, files))

    def shrink(self, most_bytes: int) -> int:
        """Free room until no more than so much is taken, or all the rest is held.

        Returns:
            Bytes freed.
        """
        before = self.size_bytes
        if before <= most_bytes:
            return 0
        for path in self._half_made:
            _remove_half_made(path)
        for key in [key for key in self._kept if not self._uses[key]]:
            self._drop(key)
        for folder in sorted(self._folders, key=lambda each: each.used_ns):
            if self.size_bytes <= most_bytes:
                break
            if _remove(folder.path):
                self.models -= 1
                for key in set(folder.files):
                    self._uses[key] -= 1
                    if not self._uses[key]:
                        self._drop(key)
        return before - self.size_bytes

    def _drop(self, key: _Kept) -> None:
        """Count bytes as freed that no folder has any more."""
        kept = self._kept.pop(key, None)
        with suppress(OSError):
            if kept is not None:
                kept.unlink()
            self.size_bytes -= self._sizes[key]


def limit_bytes() -> int | None:
    """Tell how much the cache may take; None: as much as it likes."""
    gigabytes = number("LOOPLINE_CACHE_GB", CACHE_GB)
    return round(gigabytes * 1e9) if gigabytes > 0 else None


def measure(home: Path) -> Room:
    """Look at what the cache of a home takes."""
    return Room(home)


def make_room(home: Path) -> int:
    """Bring the cache of a home below its bound; returns the bytes freed."""
    most = limit_bytes()
    return 0 if most is None else Room(home).shrink(most)


def hold(folder: Path) -> None:
    """Keep a model's folder from being removed, whether it is there already or not.

    Where the home is for reading only nobody can remove it either.
    """
    with _guard:
        if folder not in _held:
            with suppress(OSError):
                _held[folder] = _locked(_lock_of(folder), fcntl.LOCK_SH)
        if folder in _held:
            _held.move_to_end(folder)
        while len(_held) > MOST_HELD:
            os.close(_held.popitem(last=False)[1])
    with suppress(OSError):
        os.utime(folder)  # When it was used last.


def _lock_of(folder: Path) -> Path:
    return folder.parents[1] / "held" / folder.name


def _locked(path: Path, how: int) -> int:
    """Open a lock's file and lock it; again where it was removed while we waited."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, how)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _remove(folder: Path) -> bool:
    """Remove a model's folder unless somebody holds it; tell whether it is gone."""
    lock = _lock_of(folder)
    try:
        handle = _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # Held, or not ours to remove.
        return False
    try:
        going = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
        folder.replace(going)  # So that a half-removed one is never taken for a whole one.
        shutil.rmtree(going, ignore_errors=True)
        lock.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove_half_made(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime < HALF_MADE_S:
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _listed(folder: Path) -> Iterator[Path]:
    """List a folder; nothing where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from list(folder.iterdir())
