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

from loopline.errors import InvalidInputError, LooplineError
from loopline.store import sqlite
from loopline.store.upgrade import bring_up_to_date, check_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from sqlalchemy import Connection, Engine

__all__ = ["Store", "wall_clock_ms"]

#: How long a write waits for another process's write before it gives up with a 503.
LOCK_WAIT_S = 30.0


def wall_clock_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Store:
    """A database that holds the store's schema, made or upgraded when opened.

    Attributes:
        clock: Tells the Unix time in milliseconds; schedules and leases go by it.
    """

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
        try:
            bring_up_to_date(self)
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
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one consistent state and changes nothing."""
        self._after_fork()
        with self._translated(), self._engine.connect() as plain:
            yield plain.execution_options(**self._kind.READING)

    @contextmanager
    def write(self, *, remakes_tables: bool = False) -> Iterator[Connection]:
        """Open a transaction that is durable when the block ends and undone when it raises.

        Args:
            remakes_tables: It replaces whole tables, as an upgrade does, and others' references
                to them hold at its end.
        """
        self._after_fork()
        # Threads of one process queue here rather than in the database.
        if not self._write_lock.acquire(timeout=LOCK_WAIT_S):
            raise self._kind.locked(self.where, LOCK_WAIT_S)
        try:
            with self._translated(), self._engine.connect() as plain:
                connection = plain.execution_options(**self._kind.WRITING)
                looking_away = self._kind.remaking(plain) if remakes_tables else nullcontext()
                with looking_away, connection.begin():
                    self._kind.begin_write(connection, LOCK_WAIT_S)
                    yield connection
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
        self._engine.dispose()

    def _after_fork(self) -> None:
        """Leave the parent's connections alone: using them here would corrupt its database."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
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
