"""The recorder: this process's journal for one address, and the thread that empties it.

What is recorded survives the death of the process as soon as the call returns; the thread
brings it to the store and goes on trying while the store is away. One recorder an address and
process: ``get_recorder``.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from loopline.backend.context import current_task
from loopline.backend.masking import masked
from loopline.backend.open import open_backend
from loopline.backend.sender import Sender
from loopline.disk import needing_room
from loopline.errors import JournalClosedError, StorageFullError
from loopline.journal.home import make_home, needing_home
from loopline.journal.journal import STAGED
from loopline.journal.segment import FULL
from loopline.records.facts import (
    Fact,
    FlowRunState,
    LogsWritten,
    ParamsLogged,
    RunEnded,
    RunStarted,
    TagsSet,
    TaskRunState,
)
from loopline.settings import Address, find_home, tracking_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from loopline.backend.protocol import Backend
    from loopline.journal.journal import Journal
    from loopline.journal.stream import Series, Stream
    from loopline.records.operations import Operation

__all__ = [
    "Recorder",
    "before_closing",
    "close_recorders",
    "current_home",
    "get_recorder",
    "get_tracking_uri",
    "home_of",
    "recording_to",
    "set_tracking_uri",
]

R = TypeVar("R")

#: How long the end of the process waits for a store that answers but has much to take.
EXIT_WAIT_S = 60.0
#: Seconds between two looks, by a process that only reads, for what dead ones left.
CATCH_UP_EVERY_S = 5.0
#: Seconds for which what belongs together is gathered before it is sent.
TOGETHER_S = 10.0
#: How long a fork waits for a thread that is in the middle of sending.
FORK_WAIT_S = 5.0
#: Facts in whose texts a secret may turn up.
WITH_TEXTS = frozenset(
    {FlowRunState, LogsWritten, ParamsLogged, RunEnded, RunStarted, TagsSet, TaskRunState}
)


def home_of(address: Address) -> Path:
    """Tell the home folder whose ``journal/`` holds facts meant for an address."""
    return Path(address.text) if address.kind == "home" else find_home()


class _Unopened:
    """Stands in for a stream until the first record, which makes the journal."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def append(self, fact: Fact) -> None:
        self._opened().append(fact)

    def append_point(self, series: Series, step: int, timestamp_ms: int, value: float) -> None:
        self._opened().append_point(series, step, timestamp_ms, value)

    def _opened(self) -> Stream:
        stream: Stream = getattr(self._recorder.journal, self._name)
        return stream


class Recorder:
    """Journals facts and answers operations for one address.

    Who only asks gets no journal: it is made with the first record.

    Attributes:
        address: Where it records to.
        home: The home folder that holds the journal.
        append_point: ``Stream.append_point`` of the journal that is open now, or makes it.
    """

    def __init__(self, address: Address) -> None:
        """Record to an address; neither the journal nor the store is touched yet."""
        self.address = address
        self.home = home_of(address)
        self._reset()

    def _reset(self) -> None:
        """Begin with no journal, thread or backend: at first, and anew in a forked child."""
        self._sender: Sender | None = None
        self._facts: Stream | _Unopened = _Unopened(self, "facts")
        self._logs: Stream | _Unopened = _Unopened(self, "logs")
        self.append_point = self._facts.append_point
        self._catch_up_at = 0.0
        self._left_out = 0  # Log lines, since the last that was kept.
        self._backend: Backend | None = None
        # Two locks: a store that is slow to open must not keep anybody from its journal. The
        # handler of a signal may enter what it has interrupted, and is then the first.
        self._making = threading.RLock()
        self._opening = threading.RLock()

    @property
    def journal(self) -> Journal:
        """This process's journal, made at first use together with the threads that empty it."""
        with self._making:
            if self._sender is None:
                if self.address.kind == "home":
                    with needing_room(FULL):
                        make_home(self.home)
                with needing_home(self.home):
                    sender = Sender(
                        self.home,
                        self.address,
                        lambda: self.backend,
                        opened=lambda: self._backend,
                    )
                if self._sender is not None:
                    sender.close(0.0)
                    return self._sender.journal
                self._sender = sender
                self._facts = self._sender.journal.facts
                self._logs = self._sender.journal.logs
                self.append_point = self._facts.append_point
            return self._sender.journal

    @property
    def working(self) -> tuple[threading.Lock, ...]:
        """Locks that the threads hold while they work."""
        return () if self._sender is None else self._sender.working

    # --- recording ---

    def record(self, fact: Fact) -> None:
        """Journal a fact; on return it survives the death of the process.

        Log lines for which there is no room are left out, with a line that says how many.

        Raises:
            StorageFullError: The journal's disk is full.
        """
        if type(fact) in WITH_TEXTS:
            fact = masked(fact)
        if isinstance(fact, LogsWritten):
            self._record_lines(fact)
            return
        try:
            self._facts.append(fact)
        except JournalClosedError:  # Just closed by another thread: a new one takes its place.
            self._facts.append(fact)

    def _record_lines(self, fact: LogsWritten) -> None:
        """Journal log lines, or leave them out: a task must not fail for what it prints."""
        if self._left_out:
            note = f"{self._left_out:,} lines were left out here: there was no room for them."
            fact = LogsWritten(
                lines=[msgspec.structs.replace(fact.lines[0], message=note), *fact.lines]
            )
        try:
            try:
                self._logs.append(fact)
            except JournalClosedError:
                self._logs.append(fact)
        except StorageFullError as error:
            if not self._left_out:
                warnings.warn(f"Log lines are left out: {error}", RuntimeWarning, stacklevel=4)
            self._left_out += len(fact.lines) - bool(self._left_out)
        else:
            self._left_out = 0

    def log_point(self, series: Series, step: int, timestamp_ms: int, value: float) -> None:
        """Journal one point of a metric; see ``record`` and ``Stream.append_point``."""
        try:
            self.append_point(series, step, timestamp_ms, value)
        except JournalClosedError:
            self.append_point(series, step, timestamp_ms, value)

    def stage(self, source: Path) -> tuple[str, int]:
        """Copy a file into the journal; its bytes reach the blob store before later facts do.

        Returns:
            Its SHA-256 in hex and its size in bytes.

        Raises:
            StorageFullError: There is no room for the copy; nothing of it is left.
        """
        with source.open("rb") as read:
            return self._stage(iter(lambda: read.read(1 << 20), b""))

    def stage_bytes(self, data: bytes) -> tuple[str, int]:
        """Put bytes into the journal as ``stage`` does with a file."""
        digest = sha256(data).hexdigest()
        if not (self.journal.folder / STAGED / digest).exists():
            self._stage([data])
        return digest, len(data)

    def _stage(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        hasher = sha256()
        size = 0
        journal = self.journal
        with needing_room(FULL):
            staged = journal.staged
            handle, name = tempfile.mkstemp(dir=staged)
            try:
                with os.fdopen(handle, "wb") as write:
                    for chunk in chunks:
                        hasher.update(chunk)
                        write.write(chunk)
                        size += len(chunk)
                Path(name).replace(staged / hasher.hexdigest())
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return hasher.hexdigest(), size

    # --- asking ---

    @property
    def backend(self) -> Backend:
        """The backend, opened at first use."""
        with self._opening:
            if self._backend is None:
                backend = open_backend(self.address)
                if self._backend is not None:
                    backend.close()
                    return self._backend
                self._backend = backend
            return self._backend

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask or command, after what this process recorded has reached the store.

        Raises:
            BackendUnavailableError: The store cannot be reached.
        """
        self.catch_up()
        return self.backend.call(operation, key=key)

    def catch_up(self) -> None:
        """Before reading: send what this process recorded, and what dead ones left behind.

        A process that records has a thread for the latter.

        Raises:
            BackendUnavailableError: The store cannot be reached.
        """
        self.flush()
        if self._sender is None and time.monotonic() >= self._catch_up_at:
            from loopline.backend.adopt import catch_up

            self._catch_up_at = time.monotonic() + CATCH_UP_EVERY_S
            catch_up(self.address, self.backend)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything recorded so far is in the store.

        Raises:
            BackendUnavailableError: It did not get there in time; it is kept and tried on.
        """
        if self._sender is not None:
            self._sender.flush(timeout_s)

    @contextmanager
    def unhurried(self, most_s: float) -> Iterator[None]:
        """Let what is recorded inside wait before it is sent, when nothing else is waiting.

        It is as safe from the death of the process as anything recorded; it is only in no
        hurry to be seen. Whatever is recorded afterwards takes it along, and so does ``flush``.
        """
        sender = self._sender
        alone = sender is not None and sender.is_unhurried()
        yield
        if alone and sender is not None and sender is self._sender:
            sender.let_wait(most_s)

    @contextmanager
    def together(self, most_s: float = TOGETHER_S) -> Iterator[None]:
        """Send what is recorded inside in one go, when the block ends or ``most_s`` are over."""
        sender = self._sender
        if sender is not None:
            sender.hold(most_s)
        try:
            yield
        finally:
            if sender is not None:
                sender.hold(0.0)

    # --- the end ---

    def close(self, timeout_s: float = EXIT_WAIT_S) -> None:
        """Send what is left, as far as the store takes it, and let go.

        What cannot be sent stays in the journal's folder; the next process, a worker, a server
        on this machine or ``loopline sync`` brings it there.
        """
        with self._making:
            sender, self._sender = self._sender, None
            self._facts, self._logs = _Unopened(self, "facts"), _Unopened(self, "logs")
            self.append_point = self._facts.append_point
        if sender is not None:
            sender.close(timeout_s)
        if self._sender is None and self._backend is not None:
            self._backend.close()
            self._backend = None

    def after_fork(self) -> None:
        """Begin anew in a forked child, without touching what is the parent's."""
        if self._sender is not None:
            self._sender.abandon()
        # Kept, so that nothing of the parent's is ever closed here by the garbage collector.
        _of_the_parent.append(self._backend)
        self._reset()


_recorders: dict[Address, Recorder] = {}
_registry_lock = threading.RLock()
_current: list[Address] = []
#: Called before all recorders close.
_before_closing: list[Callable[[], object]] = []
#: In a forked child: the parent's connections.
_of_the_parent: list[Backend | None] = []
#: Locks taken for the time of a fork.
_held: list[threading.Lock] = []


def set_tracking_uri(uri: str | Path | None) -> None:
    """Say where to record: a folder, ``http(s)://`` server, or database; None: the default."""
    _current.clear()
    if uri is not None and str(uri):
        _current.append(tracking_address(str(uri)))


@contextmanager
def recording_to(uri: str | Path) -> Iterator[None]:
    """Record elsewhere for a while, in this whole process; what was there before comes back.

    On return the journal of that place is let go of, so that it can be deleted.
    """
    before, address = list(_current), tracking_address(str(uri))
    _current[:] = [address]
    try:
        yield
    finally:
        for wait in _before_closing:
            wait()
        with _registry_lock:
            recorder = _recorders.pop(address, None)
        if recorder is not None:
            recorder.close()
        _current[:] = before


def _current_address() -> Address:
    if _current:
        return _current[0]
    # A worker of a shared cluster runs tasks of flows that record to different places.
    task = current_task.get()
    return tracking_address(task.address if task is not None and task.address else None)


def get_tracking_uri() -> str:
    """Tell where facts are recorded to."""
    return _current_address().text


def current_home() -> Path:
    """Tell the home folder that belongs to where facts are recorded to."""
    return home_of(_current_address())


def get_recorder(uri: str | None = None) -> Recorder:
    """Get this process's recorder for an address, making it at first use."""
    address = _current_address() if uri is None else tracking_address(uri)
    recorder = _recorders.get(address)
    if recorder is None:
        with _registry_lock:
            recorder = _recorders.get(address)
            if recorder is None:
                recorder = _recorders[address] = Recorder(address)
    return recorder


def before_closing(wait: Callable[[], object]) -> None:
    """Have a function called before the recorders close; it waits for others who still record."""
    _before_closing.append(wait)


def close_recorders() -> None:
    """Send what is left everywhere and let go of every journal; recording may begin anew."""
    for wait in _before_closing:
        wait()
    with _registry_lock:
        for recorder in list(_recorders.values()):
            recorder.close()
        _recorders.clear()


def _before_fork() -> None:
    """Wait for the threads to be idle: a lock held at a fork is held for ever in the child."""
    _registry_lock.acquire()
    _held.extend(
        lock
        for recorder in _recorders.values()
        for lock in recorder.working
        if lock.acquire(timeout=FORK_WAIT_S)
    )


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    global _registry_lock  # noqa: PLW0603 - a lock of the parent is no lock of ours
    _held.clear()
    _registry_lock = threading.RLock()
    for recorder in _recorders.values():
        recorder.after_fork()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
atexit.register(close_recorders)
