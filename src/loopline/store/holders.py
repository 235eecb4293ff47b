"""Who holds a SQLite file's write lock, for those who wait for it in vain.

A process that is stopped in the middle of a transaction (Ctrl-Z, a debugger, ``kill -STOP``) keeps
the lock for as long as it is stopped, and nobody can take it away. So at least its name is told.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

from loopline.records.base import Record

__all__ = ["Holder", "find_holder"]

LOCKS = Path("/proc/locks")
#: Byte of the ``-shm`` file that the writer locks: https://sqlite.org/walformat.html, section 2.3.
WRITE_LOCK = 120
#: ``1: POSIX  ADVISORY  WRITE 4711 fe:00:2146375 120 120``: process, file, first and last byte.
_LOCK = re.compile(r"\d+: POSIX +ADVISORY +WRITE (\d+) \w+:\w+:(\d+) (\d+) (\d+|EOF)$")
#: States in /proc of a process that waits for SIGCONT, or for its debugger.
_STOPPED = {"T", "t"}


class Holder(Record, frozen=True, kw_only=True):
    """A process that holds the write lock.

    Attributes:
        name: Of its program, without arguments, which may hold what is nobody's business.
        is_stopped: Whether it was stopped, and lets nobody write until it goes on.
    """

    pid: int
    name: str
    is_stopped: bool

    @property
    def sentence(self) -> str:
        """Who it is and what to do."""
        who = f"Process {self.pid} ({self.name}) on {socket.gethostname()}"
        if self.pid == os.getpid():
            return "A long transaction of this very process holds it. Try again."
        if not self.is_stopped:
            return f"{who} holds it. Try again, or end that process."
        return (
            f"{who} holds it and is stopped, as by Ctrl-Z. Let it go on with `fg` or "
            f"`kill -CONT {self.pid}`, or end it; what it had acknowledged is safe."
        )


def find_holder(database: Path) -> Holder | None:
    """Find who holds a database's write lock now; None where the system does not say.

    Nothing is opened: closing a handle of the file would drop the locks that SQLite, in this
    process, has on it.
    """
    try:
        inode = os.stat(f"{database}-shm").st_ino  # noqa: PTH116 - a name beside, not below
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError):
        return None
    for line in lines:
        found = _LOCK.match(line)
        if found is None or int(found[2]) != inode:
            continue
        last = WRITE_LOCK if found[4] == "EOF" else int(found[4])
        if int(found[3]) <= WRITE_LOCK <= last and int(found[1]) > 0:
            return _describe(int(found[1]))
    return None


def _describe(pid: int) -> Holder:
    name, state = "unknown", ""
    with suppress(OSError, ValueError):
        # "4711 (python) S 1 …", where the name may hold anything, brackets too.
        head, _, rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
        name, state = head.partition("(")[2], rest.split()[0]
    return Holder(pid=pid, name=name, is_stopped=state in _STOPPED)
