"""Who has a DuckDB file open: one process may write to it, or several may read.

A file is held no longer than an operation takes, so processes take turns. Who has to wait says
so, and for whom; who waits too long gets an error that names the process.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.errors import BackendUnavailableError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hold", "turn_to_write"]

log = logging.getLogger("loopline.warehouse")

_PID = re.compile(r"\(PID (\d+)\)")
#: Seconds between two tries, and after how many one says what it waits for.
_AGAIN_S, _SAY_AFTER_S = 0.05, 1.0


class _Held:
    """A file that this process has open."""

    def __init__(self, connection: Any, *, is_read_only: bool) -> None:  # noqa: ANN401
        self.connection = connection
        self.is_read_only = is_read_only
        self.threads: list[int] = []


_held: dict[Path, _Held] = {}
_changed = threading.Condition()


_turns: dict[Path, threading.RLock] = {}


def turn_to_write(path: Path) -> threading.RLock:
    """Get the lock that the threads of this process write to a file under, one at a time."""
    with _changed:
        return _turns.setdefault(path, threading.RLock())


@contextmanager
def hold(path: Path, *, write: bool, wait_s: float) -> Iterator[Any]:
    """Open a DuckDB file for one operation; gives a connection of this thread's own.

    Raises:
        ConflictError: This thread reads from the file and wants to write to it meanwhile.
        BackendUnavailableError: Another process had it open for all of ``wait_s`` seconds.
    """
    me = threading.get_ident()
    held = _take(path, me, write=write, until=time.monotonic() + wait_s)
    cursor = held.connection.cursor()
    try:
        yield cursor
    finally:
        cursor.close()
        with _changed:
            held.threads.remove(me)
            if not held.threads:
                del _held[path]
                held.connection.close()
            _changed.notify_all()


def _take(path: Path, me: int, *, write: bool, until: float) -> _Held:
    began, said = time.monotonic(), False
    with _changed:
        while True:
            held = _held.get(path)
            why = ""
            if held is None:
                try:
                    held = _held[path] = _open(path, write=write)
                except _InUseError as error:
                    why = str(error)
            elif write and held.is_read_only:
                if me in held.threads:
                    msg = (
                        f"{path} is being read by this very thread, and a file of DuckDB's is open "
                        "for reading or for writing. Put both into: with warehouse.writing(): ..."
                    )
                    raise ConflictError(msg)
                why = "another thread of this process"
            if not why and held is not None:
                held.threads.append(me)
                return held
            now = time.monotonic()
            if now >= until:
                msg = (
                    f"{path} is open in {why}: DuckDB lets one process write, or several read. "
                    "Close it there, wait longer with warehouse(..., wait_s=...), or let one "
                    "process do the writing."
                )
                raise BackendUnavailableError(msg)
            if not said and now - began >= _SAY_AFTER_S:
                said = True
                log.warning("Waiting for %s, which is open in %s.", path, why)
            _changed.wait(_AGAIN_S)


class _InUseError(Exception):
    """Another process has the file open."""


def _open(path: Path, *, write: bool) -> _Held:
    import duckdb

    if not path.exists():
        write = True
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _Held(duckdb.connect(str(path), read_only=not write), is_read_only=not write)
    except duckdb.IOException as error:
        if "lock" not in str(error):
            msg = f"{path} cannot be opened: {str(error).splitlines()[0]}. Check the path."
            raise BackendUnavailableError(msg) from None
        found = _PID.search(str(error))
        whom = f"process {found[1]}" if found else "another process"
        raise _InUseError(whom) from None
