"""The cache of hashed files: a file that was hashed before costs a stat.

An entry is found by device, inode, size, and the times of the last change of content
(``mtime``) and of anything (``ctime``, which no program can set back). It is kept only when the
file had been left alone for longer than any clock's grain before its hashing began: so whatever
is written to it later gets another ``ctime``, and the entry is never found again. Descriptions
are kept by digest. The cache may be deleted at any time; when it cannot be used, files are hashed
anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["FileCache", "FileKey"]

#: How long a file must have been left alone: past FAT's grain of 2 s, the coarsest there is.
SETTLED_NS = 3 * 10**9
#: The same where the clock that stamps files may be another one than ours, as of a file server.
SETTLED_REMOTE_NS = 15 * 60 * 10**9
#: File systems whose time stamps come from this machine's clock.
LOCAL = {"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}

WAIT_S = 5.0
#: Entries past which the oldest go.
MOST_ENTRIES = 200_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    sha256 TEXT NOT NULL, at_s INTEGER NOT NULL,
    PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, at_s INTEGER NOT NULL
) WITHOUT ROWID;
"""


class FileKey(NamedTuple):
    """What tells a file's content from every other without reading it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileKey:
        """Take the key from what ``os.stat`` answers."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


class FileCache:
    """The cache of one home, open for one call; used in a ``with`` block.

    What is put is written in one transaction at the end of the block. Processes may use it at
    the same time; one that has to wait too long goes on without.
    """

    def __init__(self, home: Path) -> None:
        """Use the cache in ``home``, making it when something is first kept."""
        self._path = home / "cache" / "files.db"
        self._files: list[tuple[int | str, ...]] = []
        self._documents: list[tuple[str, str, int]] = []
        self._connection: sqlite3.Connection | None = None

    def sha256(self, key: FileKey) -> str | None:
        """Find the hash of a file, as 64 hex digits."""
        row = self._one(
            "SELECT sha256 FROM file WHERE device = ? AND inode = ? AND size = ?"
            " AND mtime_ns = ? AND ctime_ns = ?",
            (_signed(key.device), _signed(key.inode), *key[2:]),
        )
        return row if key.inode else None

    def put(self, key: FileKey, sha256: str, *, began_ns: int) -> None:
        """Keep the hash of a file, unless it may still change unseen.

        Args:
            key: As it was both before and after the hashing.
            sha256: 64 hex digits.
            began_ns: Unix time in nanoseconds when the hashing began.
        """
        changed_ns = max(key.mtime_ns, key.ctime_ns)
        if key.inode and began_ns - changed_ns > _settled_ns(key.device):
            numbers = (_signed(key.device), _signed(key.inode), *key[2:])
            self._files.append((*numbers, sha256, began_ns // 10**9))

    def document(self, key: str) -> str | None:
        """Find a text that was kept under a key."""
        return self._one("SELECT text FROM document WHERE key = ?", (key,))

    def put_document(self, key: str, text: str) -> None:
        """Keep a text; the key must stand for what it is made of."""
        self._documents.append((key, text, time.time_ns() // 10**9))

    def __enter__(self) -> Self:
        if self._path.exists():
            self._connection = self._open()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._files or self._documents:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._write()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        try:
            return sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
        except sqlite3.Error:
            return None

    def _one(self, query: str, values: tuple[int | str, ...]) -> str | None:
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(query, values).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])

    def _write(self) -> None:
        """Write what was put; a damaged cache makes room for a new one."""
        connection = self._connection or self._open()
        self._connection = connection
        if connection is None:
            return
        try:
            connection.executescript(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", self._files)
            connection.executemany("REPLACE INTO document VALUES (?, ?, ?)", self._documents)
            for table in ("file", "document"):
                _trim(connection, table)
            connection.execute("COMMIT")
        except sqlite3.OperationalError:
            return  # Locked for too long, or the disk is full: nothing is kept this time.
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _trim(connection: sqlite3.Connection, table: str) -> None:
    """Let the oldest quarter go when there are too many entries."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - ours
    if count > MOST_ENTRIES:
        (oldest,) = connection.execute(
            f"SELECT at_s FROM {table} ORDER BY at_s LIMIT 1 OFFSET ?",  # noqa: S608
            (count // 4,),
        ).fetchone()
        connection.execute(f"DELETE FROM {table} WHERE at_s <= ?", (oldest,))  # noqa: S608


def _signed(number: int) -> int:
    """Fit an unsigned 64-bit number into SQLite's signed ones."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _settled_ns(device: int) -> int:
    """Tell how long a file on a device must have been left alone."""
    if sys.platform != "linux":
        return SETTLED_NS
    name = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return SETTLED_REMOTE_NS
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[2] == name:
            return SETTLED_NS if right.split()[0] in LOCAL else SETTLED_REMOTE_NS
    return SETTLED_REMOTE_NS
