"""Logs of runs: what a task writes to its logger, or prints, goes to the log of its flow run.

Where lines go is part of the context, so that tasks which run at the same time in several
threads of a process do not mix.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PRINTS_ARE_LOGGED", "Sink", "capture_prints", "log_sink", "task_logger"]

_ROOT = "loopline.run"

#: Set in the environment by a worker, which takes all that its processes print into the log:
#: a line that a task's sink has must not be printed there, too.
PRINTS_ARE_LOGGED = "LOOPLINE_PRINTS_ARE_LOGGED"


class Sink(Protocol):
    """Takes the log lines of one task."""

    def __call__(self, level: int, message: str, /, *, shown: bool) -> None:
        """Take a line; ``shown`` when the user has seen it already."""


#: Where the current task's lines go.
log_sink: ContextVar[Sink | None] = ContextVar("loopline_log_sink", default=None)


class _RunHandler(logging.Handler):
    """Passes records to the sink of the task that wrote them."""

    def emit(self, record: logging.LogRecord) -> None:
        sink = log_sink.get()
        if sink is not None:
            # A user's own handlers have it from propagation.
            sink(record.levelno, self.format(record), shown=bool(logging.getLogger().handlers))


def task_logger(name: str) -> logging.Logger:
    """Return the logger for a task's name; lines from INFO on are kept."""
    root = logging.getLogger(_ROOT)
    if not root.handlers:
        root.addHandler(_RunHandler())
        if root.level == logging.NOTSET:
            root.setLevel(logging.INFO)
    return root.getChild(name.replace(".", "_")) if name else root


class _Prints(io.TextIOBase):
    """Stands for ``sys.stdout``: passes everything on, and complete lines to the sink as well."""

    def __init__(self, under: Any) -> None:  # noqa: ANN401 - whatever sys.stdout is
        self.under = under

    def write(self, text: str) -> int:
        pending = _unfinished.get()
        sink = log_sink.get()
        if pending is None or sink is None or PRINTS_ARE_LOGGED not in os.environ:
            self.under.write(text)
        if pending is not None and sink is not None:
            *lines, rest = (pending[0] + text).split("\n")
            pending[0] = rest
            for line in lines:
                if line:
                    sink(logging.INFO, line, shown=True)
        return len(text)

    def flush(self) -> None:
        self.under.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override] # The base class has None.
        return str(getattr(self.under, "encoding", None) or "utf-8")

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self.under.isatty())

    def fileno(self) -> int:
        return int(self.under.fileno())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever sys.stdout has
        return getattr(self.under, name)


#: The line a task has printed only in part; None: its prints are not kept.
_unfinished: ContextVar[list[str] | None] = ContextVar("loopline_unfinished", default=None)
_lock = threading.Lock()
_users = 0


@contextmanager
def capture_prints(sink: Sink) -> Iterator[None]:
    """Send what this context prints to ``sink``, too."""
    global _users  # noqa: PLW0603 - sys.stdout is global, too
    with _lock:
        _users += 1
        if not isinstance(sys.stdout, _Prints):
            sys.stdout = _Prints(sys.stdout)
    pending = [""]
    token = _unfinished.set(pending)
    try:
        yield
    finally:
        _unfinished.reset(token)
        if pending[0]:
            sink(logging.INFO, pending[0], shown=True)
        with _lock:
            _users -= 1
            if _users == 0 and isinstance(sys.stdout, _Prints):
                sys.stdout = sys.stdout.under
