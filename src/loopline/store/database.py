"""The connection to the database: transactions, what they promise, and errors in our words.

A write transaction takes the database's write lock when it begins (never in the middle, where
it could only fail) and has reached the disk when its block ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import make_url

from loopline.errors import (
    BackendUnavailableError,
    InvalidInputError,
    LooplineError,
    StorageFullError,
)
from loopline.store import sqlite
from loopline.store.upgrade import bring_up_to_date, check_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from sqlalchemy import Connection, Engine, PoolProxiedConnection

    from loopline.store.run_memo import RunMemo

__all__ = ["Store", "wall_clock_ms"]

#: How long a write waits for another process's write before it gives up with a 503.
LOCK_WAIT_S = 30.0
#: How long a read waits for it, to see the points that were acknowledged last.
READ_WAIT_S = 1.0
#: How long no other read waits after one has waited in vain.
READ_ON_S = 2.0


def wall_clock_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Store:
    """A database that holds the store's schema, made or upgraded when opened.

    Attributes:
        clock: Tells the Unix time in milliseconds; schedules and leases go by it.
        memo: Runs that were read of late; None where who reads them may change them.
        page_key: What signs tokens of pages, once one was made: ``page_tokens.key_of``.
    """

    memo: RunMemo | None = None
    page_key: bytes = b""

    def __init__(self, url: str, *, clock: Callable[[], int] = wall_clock_ms) -> None:
        """Open the database at ``url`` (SQLAlchemy's form), creating a missing SQLite file.

        Raises:
            StoreVersionError: It has a newer or a foreign schema.
            BackendUnavailableError: It cannot be reached.
        """
        self.url = make_url(url)
        self.clock = clock
        self._kind = _kind_of(self.url.get_backend_name())
        if self._kind is sqlite and self.url.database:
            with self._translated():
                check_ours(self.url.database)
        self._write_lock = threading.Lock()
        self._engine = self._kind.make_engine(self.url, LOCK_WAIT_S)
        self._pid = os.getpid()
        self._plain: PoolProxiedConnection | None = None
        self._has_inbox = False
        self._read_on_until = 0.0
        try:
            bring_up_to_date(self)
            self._has_inbox = self.is_sqlite
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self._kind is sqlite

    @property
    def where(self) -> str:
        """The database's address as one may show it."""
        if self.is_sqlite and self.url.database:
            return self.url.database
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self, *, settles: bool = True) -> Iterator[Connection]:
        """Open a transaction that sees one consistent state and changes nothing.

        Args:
            settles: It sees every point that was acknowledged (see ``inbox``). Who asks often, and
                looks at no points, need not pay for that. What was handed in everybody sees.
        """
        self._after_fork()
        with self._translated(), self._engine.connect() as plain:
            if self._has_inbox:
                batches, points = sqlite.waiting_in(plain)
                if batches or (points and settles):
                    self.settle_to_read()
            yield plain.execution_options(**self._kind.READING)

    @contextmanager
    def write(
        self, *, remakes_tables: bool = False, settles: bool = True, wait_s: float | None = None
    ) -> Iterator[Connection]:
        """Open a transaction that is durable when the block ends and undone when it raises.

        Args:
            remakes_tables: It replaces whole tables, as an upgrade does, and others' references
                to them hold at its end.
            settles: It sees every point that was acknowledged (see ``inbox``).
            wait_s: How long to wait for others' writes; None: as long as usual.
        """
        self._after_fork()
        wait_s = LOCK_WAIT_S if wait_s is None else wait_s
        with self._queued(wait_s), self._translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**self._kind.WRITING)
            around = self._kind.remaking(plain) if remakes_tables else nullcontext()
            if wait_s != LOCK_WAIT_S and self.is_sqlite:
                around = sqlite.waiting(plain, wait_s, LOCK_WAIT_S)
            with around, connection.begin():
                self._kind.begin_write(connection, wait_s)
                if self._has_inbox:
                    self._take_waiting(connection, settles=settles)
                yield connection

    def _take_waiting(self, connection: Connection, *, settles: bool) -> None:
        """Put what waits where it belongs; a run that was handed in comes before its points."""
        batches, points = sqlite.waiting_in(connection)
        if batches:
            from loopline.store.taking_in import take_in

            take_in(self, connection)
        if points and settles:
            from loopline.store.inbox import settle

            settle(connection, self.clock())

    @contextmanager
    def plain(self) -> Iterator[sqlite3.Connection]:
        """Give SQLite's own connection, on which each statement is a transaction, and durable.

        For the one road that is travelled ten thousand times a second: see ``inbox``.
        """
        self._after_fork()
        with self._queued(LOCK_WAIT_S), self._translated():
            if self._plain is None:
                self._plain = self._engine.raw_connection()
            plain = self._plain.driver_connection
            assert isinstance(plain, sqlite3.Connection)  # noqa: S101 - the caller's word
            yield plain

    def settle(self, *, wait_s: float | None = None) -> None:
        """Put the points that wait in the inbox where they belong."""
        if self._has_inbox:
            with self.write(wait_s=wait_s):
                pass  # It begins with that.

    def settle_to_read(self) -> None:
        """Settle; a database that is locked, full or for reading only is read as it is."""
        in_vain = time.monotonic() < self._read_on_until
        try:
            self.settle(wait_s=0.0 if in_vain else READ_WAIT_S)
        except (BackendUnavailableError, StorageFullError):
            self._read_on_until = time.monotonic() + READ_ON_S

    def has_taken_in(self) -> bool:
        """Take in what was handed in; tell whether there was anything.

        For who writes past ``write``, and misses a run.
        """
        if not self._has_inbox:
            return False
        self._after_fork()
        with self._translated(), self._engine.connect() as plain:
            batches, _ = sqlite.waiting_in(plain)
        if batches:
            self.settle_to_read()
        return batches

    @contextmanager
    def _queued(self, wait_s: float) -> Iterator[None]:
        """Let one thread of this process write at a time: rather here than in the database."""
        if not self._write_lock.acquire(timeout=wait_s):
            raise self._kind.locked(self.where, wait_s)
        try:
            yield
        finally:
            self._write_lock.release()

    def make_reader(self) -> Engine:
        """Make an engine of its own for statements of users; ``only_read`` comes before them."""
        engine: Engine = self._kind.make_reader(self.url, LOCK_WAIT_S)
        return engine

    def only_read(self, connection: Connection) -> None:
        """Let a connection change nothing any more."""
        self._kind.only_read(connection)

    def close(self) -> None:
        """Close every connection."""
        if self._plain is not None:
            self._plain.close()
            self._plain = None
        self._engine.dispose()

    def _after_fork(self) -> None:
        """Leave the parent's connections alone: using them here would corrupt its database."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._plain = None
            self._write_lock = threading.Lock()
            self._pid = os.getpid()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; SQL text never leaves this module."""
        try:
            yield
        except LooplineError:
            raise
        except sa_exc.DBAPIError as error:
            raise self._kind.translate(error.orig, self.where, LOCK_WAIT_S) from error
        except sqlite3.Error as error:
            raise self._kind.translate(error, self.where, LOCK_WAIT_S) from error
        except sa_exc.TimeoutError as error:
            raise self._kind.locked(self.where, LOCK_WAIT_S) from error
        except OverflowError as error:
            msg = "A number is beyond 2**63, which no database column holds. Give a smaller one."
            raise InvalidInputError(msg) from error


def _kind_of(name: str) -> ModuleType:
    """Choose what speaks to a kind of database.

    Raises:
        InvalidInputError: It is none that a store can be kept in.
    """
    if name == "sqlite":
        return sqlite
    if name == "postgresql":
        from loopline.store import postgresql

        return postgresql
    msg = (
        f"Loopline keeps its store in SQLite or PostgreSQL, not in {name}. Give a folder, or a "
        "URL that begins with sqlite:/// or postgresql://."
    )
    raise InvalidInputError(msg)
