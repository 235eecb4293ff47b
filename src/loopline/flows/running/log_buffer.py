"""The log buffer: lines become facts at once while they are few, and in batches when many."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from loopline.records.facts import LogsWritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.facts import Fact
    from loopline.records.flows import LogLine

__all__ = ["LogBuffer"]


class LogBuffer:
    """Records log lines; safe to use from several threads.

    A line that comes after a pause is recorded before ``add`` returns, so the last words of a
    process that is killed are known. Lines in quick succession wait up to ``pause_s`` seconds or
    until there are ``most`` of them.
    """

    def __init__(
        self, record: Callable[[Fact], None], *, pause_s: float = 0.2, most: int = 200
    ) -> None:
        self._record = record
        self._pause_s = pause_s
        self._most = most
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._last = -pause_s
        self._timer: threading.Timer | None = None

    def add(self, line: LogLine) -> None:
        """Take a line."""
        with self._lock:
            self._lines.append(line)
            if len(self._lines) >= self._most or time.monotonic() - self._last >= self._pause_s:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(self._pause_s, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Record what waits."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        if self._lines:
            # Recorded under the lock: lines must not overtake each other.
            lines, self._lines = self._lines, []
            self._record(LogsWritten(lines=lines))
