"""A journal's folder: one writer, who holds its lock for life.

``meta.json`` says where the facts are to go and whose they are, so that another process can
bring them there when this one is gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from loopline.disk import needing_room
from loopline.errors import IntegrityError
from loopline.journal.format import RECORDS
from loopline.journal.segment import FULL, can_map
from loopline.journal.stream import Stream
from loopline.records.base import Record

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["META", "STREAMS", "Journal", "Meta", "abandoned", "read_meta", "try_lock"]

#: Logs have segments of their own: an hour of debug lines must not hold up a metric.
STREAMS = ("facts", "logs")
#: Room of log lines that wait for a store that is away; metrics and all else have no quota.
LOG_BYTES = 256 * 2**20
META = "meta.json"
LOCK = "lock"
STAGED = "staged"


class Meta(Record, frozen=True, kw_only=True):
    """Whose journal it is, and where its facts go.

    Attributes:
        address: Home folder, server or database the facts are meant for.
        started_ms: Unix time in milliseconds.
        format: Of its records; see ``journal.format.RECORDS``.
    """

    writer: str
    address: str
    host: str
    pid: int
    started_ms: int
    format: int = RECORDS


class Journal:
    """The journal of this process for one address.

    Attributes:
        meta: Who writes, and where to.
        facts: Stream of facts.
        logs: Stream of log lines.
        folder: Where all of it lies; ``staged/`` holds files on their way to the blob store.
    """

    def __init__(self, root: Path, address: str) -> None:
        """Make a journal of one's own below ``root``.

        The folder gets its final name only when it is locked, so nobody takes it for abandoned.

        Raises:
            StorageFullError: There is no room for it; nothing is left behind.
        """
        with needing_room(FULL):
            self._make(root, address)

    def _make(self, root: Path, address: str) -> None:
        writer = uuid.uuid4().hex
        root.mkdir(parents=True, exist_ok=True)
        folder = root / f".{writer}"
        folder.mkdir()
        handle = try_lock(folder, create=True)
        if handle is None:  # Nobody else knows the name; only a broken flock gets here.
            msg = f"The file system of {root} cannot lock files. Put the home on a local disk."
            raise IntegrityError(msg)
        self._lock: int | None = handle
        self.meta = Meta(
            writer=writer,
            address=address,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_ms=time.time_ns() // 1_000_000,
        )
        try:
            # For its owner alone: a database's address may hold a password.
            with open(folder / META, "xb", opener=_private) as file:
                file.write(msgspec.json.encode(self.meta))
            mapped = can_map(folder)
            for name in STREAMS:
                (folder / name).mkdir()
            self.folder = folder.rename(root / writer)
            folder = self.folder
            self.facts = Stream(self.folder / "facts", writer, mapped=mapped)
            self.logs = Stream(self.folder / "logs", writer, mapped=mapped, most_bytes=LOG_BYTES)
            self.facts.aside, self.logs.aside = self.logs, self.facts
        except BaseException:
            # As on a full disk: leave nothing that somebody would have to clean up.
            os.close(handle)
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @property
    def staged(self) -> Path:
        """Folder of files on their way to the blob store, each named by its SHA-256."""
        folder = self.folder / STAGED
        folder.mkdir(exist_ok=True)
        return folder

    def close(self, *, remove: bool) -> None:
        """Let go of the journal; with ``remove`` delete it, as the store has all of it."""
        self.facts.close()
        self.logs.close()
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def abandon(self) -> None:
        """Let go in a forked child, without unlocking: the parent lives and holds the lock.

        Closing one's copy of the handle does not unlock while the parent has it open; keeping
        it would hold the lock of a dead parent for as long as any of its children lives.
        """
        self.facts.abandon()
        self.logs.abandon()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def try_lock(folder: Path, *, create: bool = False) -> int | None:
    """Lock a journal's folder; None when its owner lives (or it has no lock file).

    Returns:
        The handle to close; the lock goes with it.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        handle = os.open(folder / LOCK, flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def read_meta(folder: Path) -> Meta:
    """Read whose journal a folder is.

    Raises:
        IntegrityError: The folder is no journal.
    """
    try:
        return msgspec.json.decode((folder / META).read_bytes(), type=Meta)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{folder} is not a journal of Loopline ({error})."
        raise IntegrityError(msg) from error


def abandoned(root: Path, *, host: str = "") -> list[Path]:
    """List journals below ``root`` that may be abandoned; locking one tells for sure.

    Args:
        root: Folder of journals.
        host: Only those written on this machine, where a lock can be believed; empty: all.
    """
    if not root.is_dir():
        return []
    found = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not (folder / META).is_file():
            continue
        try:
            meta = read_meta(folder)
        except IntegrityError:
            continue
        if not host or meta.host == host:
            found.append(folder)
    return found
