"""SQLite as a store: how connections are set up, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from loopline.disk import has_room
from loopline.errors import (
    BackendUnavailableError,
    IntegrityError,
    InvalidInputError,
    LooplineError,
    StorageFullError,
)
from loopline.store.holders import find_holder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

__all__ = [
    "READING",
    "WRITING",
    "begin_write",
    "is_read_only",
    "locked",
    "make_engine",
    "make_reader",
    "only_read",
    "remaking",
    "translate",
    "uri_to_read",
    "waiting",
    "waiting_in",
]

#: What a transaction is opened with, to read and to write.
READING: dict[str, Any] = {}
WRITING: dict[str, Any] = {"loopline_write": True}

WAITING = "SELECT EXISTS (SELECT 1 FROM ll_handed_in), EXISTS (SELECT 1 FROM ll_inbox)"

#: Pause between two tries to switch a new database to WAL, which no busy handler waits for.
_PAUSE_S = 0.01
#: How long a disk that was full counts as full: what failed on it may be told a moment later.
_FULL_S = 2.0
#: Until when that of a database does; monotonic clock.
_full_until: dict[Path, float] = {}


def make_engine(url: URL, wait_s: float) -> Engine:
    """Make an engine whose connections wait this long for another process's write."""
    if url.database and is_read_only(Path(url.database)):
        reader = make_reader(url, wait_s)
        event.listen(reader, "begin", _begin)
        return reader
    engine = create_engine(
        url,
        connect_args={"timeout": wait_s, "check_same_thread": False},
        pool_size=8,
        max_overflow=32,
    )

    file = Path(url.database or "")

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        """Set a new connection up: readers never wait for the writer, commits reach the disk."""
        connection.isolation_level = None  # BEGIN is said by `begin`, not by the driver.
        cursor = connection.cursor()
        _switch_to_wal(cursor, file, wait_s)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA case_sensitive_like=ON")
        cursor.close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def make_reader(url: URL, wait_s: float) -> Engine:
    """Make an engine that opens the file only to read."""

    def connect() -> sqlite3.Connection:
        address = uri_to_read(Path(url.database or ""))
        connection = sqlite3.connect(address, uri=True, timeout=wait_s, check_same_thread=False)
        connection.isolation_level = None
        connection.execute("PRAGMA case_sensitive_like=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def is_read_only(file: Path) -> bool:
    """Whether this process may read a database and not write to it, or not beside it."""
    if not file.is_file():
        return False
    if not os.access(file, os.W_OK):
        return True
    beside = (file.with_name(f"{file.name}-{part}") for part in ("wal", "shm"))
    return not (os.access(file.parent, os.W_OK) or all(os.access(one, os.W_OK) for one in beside))


def uri_to_read(file: Path) -> str:
    """Write the address under which SQLite opens a file only to read it.

    In WAL mode a reader writes, too: beside the file. Where it may not, a file whose last writer
    has gone in order (there is no ``-wal``) can be read as it is; one that is being written to
    can be read by what its writers keep beside it.
    """
    wal = file.with_name(f"{file.name}-wal")
    is_whole = not wal.exists() or not wal.stat().st_size
    immutable = "&immutable=1" if is_whole and is_read_only(file) else ""
    return f"{file.resolve().as_uri()}?mode=ro{immutable}"


def _begin(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("loopline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def only_read(connection: Connection) -> None:
    """Let this connection change nothing any more, temporary tables neither."""
    connection.exec_driver_sql("PRAGMA query_only = ON")


def _switch_to_wal(cursor: sqlite3.Cursor, file: Path, wait_s: float) -> None:
    """Switch the database to WAL, also while others make it at the same moment."""
    until = time.monotonic() + wait_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_held = any(word in str(error) for word in ("lock", "busy"))
            if time.monotonic() > until or not (is_held or _may_grow(file)):
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def begin_write(connection: Connection, wait_s: float) -> None:
    """Nothing: a write transaction takes the only lock there is when it begins."""


def waiting_in(connection: Connection) -> tuple[bool, bool]:
    """Tell whether batches that were handed in wait, and points in the inbox.

    Past SQLAlchemy, as every transaction asks it.
    """
    batches, points = _plain(connection).execute(WAITING).fetchone()
    return bool(batches), bool(points)


@contextmanager
def waiting(connection: Connection, wait_s: float, usual_s: float) -> Iterator[None]:
    """Wait for others' writes so long inside, and as long as usual afterwards."""
    plain = _plain(connection)
    plain.execute(f"PRAGMA busy_timeout={round(wait_s * 1000)}")
    try:
        yield
    finally:
        plain.execute(f"PRAGMA busy_timeout={round(usual_s * 1000)}")


def _may_grow(file: Path) -> bool:
    """Whether there is room for more in a database, and was of late."""
    longest_bytes = 0
    for one in (file, file.with_name(f"{file.name}-wal")):
        with suppress(OSError):
            longest_bytes = max(longest_bytes, one.stat().st_size)
    now = time.monotonic()
    if not has_room(file.parent, longest_bytes=longest_bytes):
        _full_until[file] = now + _FULL_S
    return now > _full_until.get(file, 0.0)


def _plain(connection: Connection) -> sqlite3.Connection:
    plain = connection.connection.driver_connection
    assert isinstance(plain, sqlite3.Connection)  # noqa: S101 - of this module's engine
    return plain


@contextmanager
def remaking(connection: Connection) -> Iterator[None]:
    """Let the transaction inside replace tables that others refer to.

    SQLite alters most of a table by making another under its name. It must neither delete what
    refers to the old one, nor refuse because a view of somebody's shows it. Both settings are
    deaf inside a transaction, and the connection is used again: they are set around it.
    """
    plain = _plain(connection)
    plain.execute("PRAGMA foreign_keys=OFF")
    plain.execute("PRAGMA legacy_alter_table=ON")
    try:
        yield
    finally:
        plain.execute("PRAGMA legacy_alter_table=OFF")
        plain.execute("PRAGMA foreign_keys=ON")


def locked(where: str, wait_s: float) -> BackendUnavailableError:
    """Say that others hold the database, and who."""
    holder = find_holder(Path(where))
    advice = "Try again, or look for a program that holds it open."
    return BackendUnavailableError(
        f"The database {where} has been locked for {wait_s:g} s. "
        f"{advice if holder is None else holder.sentence}"
    )


def translate(error: Any, where: str, wait_s: float) -> LooplineError:  # noqa: ANN401 - the driver's
    """Say in our words what went wrong."""
    text = str(error).lower()
    if "locked" in text or "busy" in text:
        return locked(where, wait_s)
    # It says "full" of a full disk, and no more of a quota or a limit than of a broken disk.
    is_about_files = "i/o" in text or "unable to open" in text
    if "full" in text or (is_about_files and not _may_grow(Path(where))):
        return StorageFullError(
            f"The disk of {where} is full. What was acknowledged is safe; free some space "
            "and recording goes on by itself."
        )
    if "readonly" in text or "read-only" in text:
        return BackendUnavailableError(
            f"The database {where} can only be read here; nothing was changed. Make it and its "
            "folder writable, or use another: set LOOPLINE_URI, or give --uri."
        )
    if "malformed" in text or "not a database" in text:
        return IntegrityError(
            f"{where} is damaged or not a Loopline database. Restore it from a backup, "
            "or point LOOPLINE_URI at another home."
        )
    if "constraint" in text:
        return InvalidInputError("The request contradicts what is stored; nothing was changed.")
    return BackendUnavailableError(
        f"The database {where} does not answer ({type(error).__name__}: {error}). "
        "Check that its folder exists and can be written."
    )
