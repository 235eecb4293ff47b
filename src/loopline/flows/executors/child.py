"""A worker process of a process pool.

It reads attempts from standard input and writes what happens to what was standard output; what
tasks print goes to the parent as messages, so that it shows where the flow runs, in a notebook
too. When the parent is gone it ends at once, also in the middle of a task: somebody else will
take the flow run over, and a task must not run twice at the same time.
"""

from __future__ import annotations

import io
import os
import pickle
import queue
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.errors import LooplineError
from loopline.flows.executors.messages import pack_outcome, read_message, write_message
from loopline.flows.running.attempt import run_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from loopline.flows.running.attempt import Outcome

__all__ = ["main", "settle_records"]

#: Stacks of threads, and what allocators keep ready.
_RESERVED_BYTES = 512 << 20


class _Prints(io.TextIOBase):
    """Stands for ``sys.stdout``: sends what is printed to the parent, in whole lines."""

    encoding = "utf-8"

    def __init__(self, parent: _Parent) -> None:
        self._parent = parent
        self._pending = ""

    def write(self, text: str) -> int:
        self._pending += text
        if "\n" in text:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._pending = self._pending, ""
        if text:
            self._parent.tell("printed", text)

    def writable(self) -> bool:
        return True

    @property
    def buffer(self) -> _Bytes:
        """What takes bytes."""
        return _Bytes(self)


class _Bytes(io.RawIOBase):
    """Stands for ``sys.stdout.buffer``."""

    def __init__(self, prints: _Prints) -> None:
        self._prints = prints

    def write(self, data: Any) -> int:  # noqa: ANN401 - anything with bytes in it
        text = bytes(data).decode(errors="replace")
        self._prints.write(text)
        return memoryview(data).nbytes

    def flush(self) -> None:
        self._prints.flush()

    def writable(self) -> bool:
        return True


class _Parent:
    """The way to the parent, for any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def tell(self, *parts: object) -> None:
        with self._lock:
            write_message(self._stream, *parts)

    def log(self, level: int, message: str, *, shown: bool) -> None:
        self.tell("logged", level, message, shown)


def main() -> None:
    """Serve attempts until the parent says stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what an interrupt means.
    incoming = os.fdopen(os.dup(0), "rb")
    parent = _Parent(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # What libraries write to file descriptor 1 must not disturb the messages.
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - for the life of the process
    sys.stdout = prints = _Prints(parent)
    messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, messages), daemon=True).start()
    while (message := messages.get())[0] != "stop":
        _, data, memory_bytes = message
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            outcome = _attempt(data, memory_bytes, parent)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:
            # The task was told to stop, and has; the parent wants no outcome any more.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            prints.flush()
            settle_records()
            return
        prints.flush()
        settle_records()
        parent.tell("ended", *pack_outcome(outcome))


def _attempt(data: bytes, memory_bytes: int | None, parent: _Parent) -> Outcome:
    parent.tell("began")
    call = pickle.loads(data)  # noqa: S301 - from our own parent
    with _less_memory(memory_bytes):
        return run_attempt(call, parent.log)


@contextmanager
def _less_memory(most_bytes: int | None) -> Iterator[None]:
    """Have the system refuse what is far over a limit.

    The parent looks at what is used, fifty times a second; this stops what grows faster. Memory
    that is only reserved counts here, too, so there is room for what libraries reserve.
    """
    if most_bytes is None or sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = most_bytes + _RESERVED_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _listen(incoming: BinaryIO, messages: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    while (message := read_message(incoming)) is not None:
        messages.put(message)
        if message[0] == "stop":
            return
    # The pool made this process the leader of a group of its own: what tasks started goes, too.
    os.killpg(os.getpid(), signal.SIGKILL)


def settle_records() -> None:
    """Bring what a task tracked in this process to the store before the next task begins.

    The next task may run in another process, and must find what this one recorded. A store
    that is away holds nothing up for long: what was recorded is in the journal.
    """
    recorder = sys.modules.get("loopline.backend.recorder")
    if recorder is None:
        return
    for each in list(recorder._recorders.values()):  # noqa: SLF001 - see flush_recorders
        try:
            each.flush(2.0)
        except LooplineError:
            continue
