"""PostgreSQL as a store: how connections are set up, and what its errors mean."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text

from loopline.errors import (
    BackendUnavailableError,
    InvalidInputError,
    LooplineError,
    MissingExtraError,
    StorageFullError,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import URL, Connection, Engine

__all__ = [
    "READING",
    "WRITING",
    "begin_write",
    "locked",
    "make_engine",
    "make_reader",
    "only_read",
    "remaking",
    "translate",
]

#: What a transaction is opened with, to read (one consistent state for all its statements, as
#: SQLite gives it) and to write (each statement sees what the writer before has done).
READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING: dict[str, Any] = {}

#: Any number that no other program takes an advisory lock on in the same database.
_WRITERS = 0x4C4F4F50  # "LOOP"
#: How long this transaction waits for others, and others for it when nothing comes of it.
_BOUNDS = text(
    "SELECT set_config('lock_timeout', :wait_ms, true),"
    " set_config('idle_in_transaction_session_timeout', :wait_ms, true)"
)
#: First two digits of the codes (SQLSTATE) for values that cannot be, for broken rules, and for
#: what is larger than PostgreSQL can hold, as an entry of an index.
_BAD_DATA, _BROKEN_RULE, _TOO_LARGE = "22", "23", "54"
_LOCK_NOT_AVAILABLE, _DISK_FULL = "55P03", "53100"


def make_engine(url: URL, wait_s: float) -> Engine:
    """Make an engine; a connection that its server has dropped is replaced.

    Raises:
        MissingExtraError: The driver is not installed.
    """
    try:
        import psycopg  # noqa: F401 - asked here, where the error can say what to install
    except ImportError:
        raise MissingExtraError(
            "psycopg", extra="postgres", purpose="A store on PostgreSQL"
        ) from None
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": max(2, round(wait_s))},
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=32,
    )

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
        """Bound the waits of reads, too: for somebody who locks a whole table, to move it say."""
        connection.execute(f"SET lock_timeout = {round(wait_s * 1000)}".encode())
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine


def make_reader(url: URL, wait_s: float) -> Engine:
    """Make an engine for statements of users; ``only_read`` comes before them."""
    return make_engine(url, wait_s)


def only_read(connection: Connection) -> None:
    """Let this connection change nothing any more, in this transaction and later ones."""
    connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def begin_write(connection: Connection, wait_s: float) -> None:
    """Let one write transaction run at a time, as SQLite does.

    Every handler is written for that: what it reads stays true until it writes.
    """
    # A client that is stopped in here (Ctrl-Z) loses its transaction, and not everybody's time.
    connection.execute(_BOUNDS, {"wait_ms": str(round(wait_s * 1000))})
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITERS})"))


def remaking(_connection: Connection) -> AbstractContextManager[None]:
    """Nothing: PostgreSQL alters a table in place, with all that refers to it."""
    return nullcontext()


def locked(where: str, wait_s: float) -> BackendUnavailableError:
    """Say that others hold the database."""
    return BackendUnavailableError(
        f"The database {where} has been locked for {wait_s:g} s. "
        "Try again, or look for a transaction that is left open."
    )


def translate(error: Any, where: str, wait_s: float) -> LooplineError:  # noqa: ANN401 - the driver's
    """Say in our words what went wrong."""
    state = getattr(error, "sqlstate", None) or ""
    if state == _LOCK_NOT_AVAILABLE:
        return locked(where, wait_s)
    if state == _DISK_FULL:
        return StorageFullError(
            f"The disk of {where} is full. What was acknowledged is safe; free some space "
            "and recording goes on by itself."
        )
    if state.startswith((_BAD_DATA, _TOO_LARGE)) or (
        not state and type(error).__name__ == "DataError"
    ):
        return InvalidInputError("The database cannot hold a value of this request.")
    if state.startswith(_BROKEN_RULE):
        return InvalidInputError("The request contradicts what is stored; nothing was changed.")
    return BackendUnavailableError(
        f"The database {where} does not answer ({type(error).__name__}: {_first_line(error)}). "
        "Check that it runs, and the address in LOOPLINE_URI."
    )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0]
