"""Handing in: a batch is put into a SQLite store by a process that does not open the store.

To open the store means to import SQLAlchemy and every module of the store, which takes longer than
all else that a short script does. A batch that is handed in is one row, written by the standard
library's driver; when that returns it is as durable as anything in the store. ``Store.read`` and
``Store.write`` take in what was handed in before they do anything else: see ``taking_in``.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from loopline.records.facts import Batch
from loopline.store.version import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HandIn", "HandedIn"]

#: How long it waits for others' writes; whoever opens the store afterwards waits longer.
WAIT_S = 1.0
#: So many rows, and so many bytes of them, may wait: whoever looks next has to take them in.
MOST_ROWS = 64
MOST_BYTES = 1 << 20
#: A batch of more is the store's own work.
MOST_BATCH_BYTES = 1 << 18

VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a constant
ROOM = "SELECT count(*), coalesce(sum(length(data)), 0) FROM ll_handed_in"
#: How far the store has a journal, with what waits.
POSITION = """
    SELECT max(acknowledged) FROM (
        SELECT acknowledged FROM ll_writer WHERE writer = :writer
        UNION ALL SELECT acknowledged FROM ll_handed_in WHERE writer = :writer)
"""
PUT = "INSERT INTO ll_handed_in (at_ms, writer, acknowledged, data) VALUES (?, ?, ?, ?)"


class HandedIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a row holds.

    Attributes:
        batch: Facts of a journal; with none where only the end is told.
        gone: Why runs that the writer leaves open are over, when it is gone; empty: it is there.
    """

    batch: Batch
    gone: str = ""


_encoder = msgspec.msgpack.Encoder()


class HandIn:
    """Puts batches into one SQLite file; for one thread at a time."""

    def __init__(self, file: Path) -> None:
        """Hand in to a file, which is opened with the first batch; it is never made here."""
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def put(self, handed_in: HandedIn) -> bool:
        """Hand in; on return it is durable.

        Returns:
            False when nothing was handed in, and the store has to be opened, which then says why
            if anything is wrong: there is no store of this version, it is locked, full or for
            reading only, it knows the journal otherwise, or enough is waiting there.
        """
        data = _encoder.encode(handed_in)
        if len(data) > MOST_BATCH_BYTES or not self._file.is_file():
            return False
        try:
            return self._put(handed_in.batch, data)
        except sqlite3.Error:
            self.close()
            return False

    def _put(self, batch: Batch, data: bytes) -> bool:
        connection = self._connection or self._open()
        # Asked before the lock is taken, too: another program's database is not touched.
        if not _is_ours(connection):
            return False
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not (
                _is_ours(connection) and _has_room(connection, data) and _fits(connection, batch)
            ):
                return False
            at_ms = time.time_ns() // 1_000_000
            connection.execute(PUT, (at_ms, batch.writer, batch.end, data))
            connection.execute("COMMIT")
            return True
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        self._connection = connection = sqlite3.connect(
            f"{self._file.resolve().as_uri()}?mode=rw",
            uri=True,
            timeout=WAIT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def abandon(self) -> None:
        """Let go in a forked child, where closing would take the parent's locks away."""
        if self._connection is not None:
            _of_the_parent.append(self._connection)
            self._connection = None


#: In a forked child: kept, so that the garbage collector does not close them.
_of_the_parent: list[sqlite3.Connection] = []


def _is_ours(connection: sqlite3.Connection) -> bool:
    row = connection.execute(VERSION).fetchone()
    return row is not None and row[0] == HEAD


def _has_room(connection: sqlite3.Connection, data: bytes) -> bool:
    rows, size_bytes = connection.execute(ROOM).fetchone()
    return bool(rows < MOST_ROWS and size_bytes + len(data) <= MOST_BYTES)


def _fits(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Tell whether a batch begins where the store has the journal; one without facts always."""
    position = connection.execute(POSITION, {"writer": batch.writer}).fetchone()[0]
    return not batch.facts or batch.start == (position or 0)
