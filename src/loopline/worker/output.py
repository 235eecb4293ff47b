"""Output: what a flow run's process prints becomes lines of the flow run's log."""

from __future__ import annotations

import codecs
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from loopline.records.facts import LogsWritten
from loopline.records.flows import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

__all__ = ["OutputPump", "split_lines"]

_CHUNK_BYTES = 65_536

#: A longer line is cut into several.
_LONGEST_LINE = 10_000


class OutputPump:
    """Threads that read a process's output and error pipes until both end.

    Args:
        flow_run_id: Whose log the lines go to.
        record: Takes each ``LogsWritten`` fact.
    """

    def __init__(self, flow_run_id: str, record: Callable[[LogsWritten], None]) -> None:
        self._flow_run_id = flow_run_id
        self._record = record
        self._threads: list[threading.Thread] = []
        self.last_error_line = ""

    def start(self, output: BinaryIO, errors: BinaryIO) -> None:
        """Begin to read both pipes."""
        for pipe, level in ((output, logging.INFO), (errors, logging.WARNING)):
            thread = threading.Thread(
                target=self._pump, args=(pipe, level), name="loopline-output", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def join(self, timeout_s: float) -> None:
        """Wait until what was printed is recorded, unless somebody else keeps the pipes open."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _pump(self, pipe: BinaryIO, level: int) -> None:
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        rest = ""
        with pipe:
            while data := os.read(pipe.fileno(), _CHUNK_BYTES):
                lines, rest = split_lines(rest + decode(data))
                self._write(lines, level)
        self._write([rest + decode(b"", final=True)], level)

    def _write(self, lines: list[str], level: int) -> None:
        at_ms = time.time_ns() // 1_000_000
        written = [
            LogLine(flow_run_id=self._flow_run_id, at_ms=at_ms, level=level, message=line)
            for line in lines
            if line.strip()
        ]
        if not written:
            return
        if level >= logging.WARNING:
            self.last_error_line = written[-1].message.strip()
        self._record(LogsWritten(lines=written))


def split_lines(text: str) -> tuple[list[str], str]:
    """Split text into finished lines and the rest.

    Of a line that a progress bar wrote over again and again, the last writing counts. NUL, which
    no database keeps, becomes the replacement character.
    """
    *lines, rest = text.replace("\r\n", "\n").replace("\0", "\ufffd").split("\n")
    finished = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    if len(rest) > _LONGEST_LINE:
        finished.append(rest)
        rest = ""
    return [
        line[start : start + _LONGEST_LINE]
        for line in finished
        for start in range(0, max(len(line), 1), _LONGEST_LINE)
    ], rest
