"""The connection to the database: transactions, what they promise, and errors in our words.

A write transaction takes the database's write lock when it begins (never in the middle, where
it could only fail) and has reached the disk when its block ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import make_url

from loopline.errors import (
    BackendUnavailableError,
    IntegrityError,
    InvalidInputError,
    LooplineError,
    StorageFullError,
)
from loopline.store.upgrade import bring_up_to_date, check_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

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
        if self.url.get_backend_name() != "sqlite":
            msg = (
                f"This version of Loopline keeps its store in SQLite, not in "
                f"{self.url.get_backend_name()}. Give a folder or a sqlite:/// URL."
            )
            raise InvalidInputError(msg)
        if self.url.database:
            with translated_errors(self.where):
                check_ours(self.url.database)
        self._write_lock = threading.Lock()
        self._engine = create_engine(
            self.url,
            connect_args={"timeout": LOCK_WAIT_S, "check_same_thread": False},
            pool_size=8,
            max_overflow=32,
        )
        self._pid = os.getpid()
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin)
        with translated_errors(self.where):
            bring_up_to_date(self._engine)

    @property
    def where(self) -> str:
        """The database's address as one may show it."""
        return self.url.database or str(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one consistent state and changes nothing."""
        self._after_fork()
        with translated_errors(self.where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is durable when the block ends and undone when it raises."""
        self._after_fork()
        # Threads of one process queue here rather than spin in SQLite's busy handler.
        if not self._write_lock.acquire(timeout=LOCK_WAIT_S):
            raise _locked(self.where)
        try:
            with translated_errors(self.where), self._engine.connect() as plain:
                connection = plain.execution_options(loopline_write=True)
                with connection.begin():
                    yield connection
        finally:
            self._write_lock.release()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _after_fork(self) -> None:
        """Leave the parent's connections alone: using them here would corrupt its database."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._write_lock = threading.Lock()
            self._pid = os.getpid()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Set a new connection up: readers never wait for the writer, commits reach the disk."""
    connection.isolation_level = None  # BEGIN is said by `_begin`, not by the driver.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA case_sensitive_like=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("loopline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _locked(where: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"The database {where} is locked by another process for more than {LOCK_WAIT_S:g} s. "
        "Try again, or look for a program that holds it open."
    )


@contextmanager
def translated_errors(where: str) -> Iterator[None]:
    """Turn the driver's errors into ours; SQL text never leaves this module."""
    try:
        yield
    except LooplineError:
        raise
    except sa_exc.DBAPIError as error:
        raise _translate(error.orig, where) from error
    except sqlite3.Error as error:
        raise _translate(error, where) from error
    except OverflowError as error:
        msg = "A number is beyond 2**63, which no database column holds. Give a smaller one."
        raise InvalidInputError(msg) from error


def _translate(error: Any, where: str) -> LooplineError:  # noqa: ANN401 - any driver's error
    text = str(error).lower()
    if "locked" in text or "busy" in text:
        return _locked(where)
    if "full" in text:
        return StorageFullError(
            f"The disk of {where} is full. What was acknowledged is safe; free some space "
            "and recording goes on by itself."
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
