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
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopline.backend.adopt import adopt_orphans
from loopline.backend.open import open_backend
from loopline.errors import BackendUnavailableError, LooplineError
from loopline.journal.drain import StreamDrain
from loopline.journal.home import make_home
from loopline.journal.journal import STREAMS, Journal
from loopline.records.facts import Fact, LogsWritten
from loopline.records.operations import Heartbeat
from loopline.settings import Address, find_home, number, tracking_address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.journal.stream import Stream
    from loopline.records.operations import Operation

__all__ = [
    "Recorder",
    "close_recorders",
    "current_home",
    "get_recorder",
    "get_tracking_uri",
    "home_of",
    "set_tracking_uri",
]

R = TypeVar("R")

#: Seconds between two looks for something to send.
POLL_S = 0.1
#: Seconds between two signs of life; well below the 30 after which a writer counts as lost.
HEARTBEAT_S = 10.0
#: Longest wait between two tries while the store is away.
MAX_BACKOFF_S = 15.0
#: How long the end of the process waits for a store that answers but has much to take.
EXIT_WAIT_S = 60.0
#: How long a fork waits for a thread that is in the middle of sending.
FORK_WAIT_S = 5.0


def home_of(address: Address) -> Path:
    """Tell the home folder whose ``journal/`` holds facts meant for an address."""
    return Path(address.text) if address.kind == "home" else find_home()


class _Unopened:
    """Stands in for a stream until the first record, which makes the journal."""

    tail = 0

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def append(self, fact: Fact) -> None:
        self._opened().append(fact)

    def append_point(
        self, run_id: str, key: str, step: int, timestamp_ms: int, value: float
    ) -> None:
        self._opened().append_point(run_id, key, step, timestamp_ms, value)

    def _opened(self) -> Stream:
        stream: Stream = getattr(self._recorder.journal, self._name)
        return stream


class Recorder:
    """Journals facts and answers operations for one address.

    Who only asks gets no journal: it is made with the first record.

    Attributes:
        address: Where it records to.
        home: The home folder that holds the journal.
    """

    def __init__(self, address: Address) -> None:
        """Record to an address; neither the journal nor the store is touched yet."""
        self.address = address
        self.home = home_of(address)
        self._reset()

    def _reset(self) -> None:
        """Begin with no journal, thread or backend: at first, and anew in a forked child."""
        self._journal: Journal | None = None
        self._facts: Stream | _Unopened = _Unopened(self, "facts")
        self._logs: Stream | _Unopened = _Unopened(self, "logs")
        self._backend: Backend | None = None
        self._opening = threading.RLock()
        #: Held while the thread works, so that a fork can wait for it to be idle.
        self.working = threading.Lock()
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._stop = False
        self._problem: Exception | None = None
        self._warned = False
        self._drains: dict[str, StreamDrain] = {}
        self._beat_at = 0.0
        self._adopt_at = 0.0
        self._thread: threading.Thread | None = None

    @property
    def journal(self) -> Journal:
        """This process's journal, made at first use together with the thread that empties it."""
        with self._opening:
            if self._journal is None:
                if self.address.kind == "home":
                    make_home(self.home)
                journal = Journal(self.home / "journal", self.address.text)
                self._drains = {
                    name: StreamDrain(journal.folder, name, journal.meta) for name in STREAMS
                }
                self._journal, self._facts, self._logs = journal, journal.facts, journal.logs
                self._thread = threading.Thread(
                    target=self._run, name="loopline-drain", daemon=True
                )
                self._thread.start()
            return self._journal

    # --- recording ---

    def record(self, fact: Fact) -> None:
        """Journal a fact; on return it survives the death of the process.

        Raises:
            StorageFullError: The journal's disk is full.
        """
        if isinstance(fact, LogsWritten):
            self._logs.append(fact)
        else:
            self._facts.append(fact)

    def log_metric(self, run_id: str, key: str, value: float, step: int, timestamp_ms: int) -> None:
        """Journal one point of a metric; see ``record``."""
        self._facts.append_point(run_id, key, step, timestamp_ms, value)

    def stage(self, source: Path) -> tuple[str, int]:
        """Copy a file into the journal; its bytes reach the blob store before later facts do.

        Returns:
            Its SHA-256 in hex and its size in bytes.
        """
        staged = self.journal.staged
        hasher = sha256()
        size = 0
        handle, name = tempfile.mkstemp(dir=staged)
        with source.open("rb") as read, os.fdopen(handle, "wb") as write:
            while chunk := read.read(1 << 20):
                hasher.update(chunk)
                write.write(chunk)
                size += len(chunk)
        Path(name).replace(staged / hasher.hexdigest())
        return hasher.hexdigest(), size

    def stage_bytes(self, data: bytes) -> tuple[str, int]:
        """Put bytes into the journal as ``stage`` does with a file."""
        staged = self.journal.staged
        digest = sha256(data).hexdigest()
        target = staged / digest
        if not target.exists():
            handle, name = tempfile.mkstemp(dir=staged)
            with os.fdopen(handle, "wb") as write:
                write.write(data)
            Path(name).replace(target)
        return digest, len(data)

    # --- asking ---

    @property
    def backend(self) -> Backend:
        """The backend, opened at first use."""
        with self._opening:
            if self._backend is None:
                self._backend = open_backend(self.address)
            return self._backend

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask or command, after what this process recorded has reached the store.

        Raises:
            BackendUnavailableError: The store cannot be reached.
        """
        self.flush()
        return self.backend.call(operation, key=key)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything recorded so far is in the store.

        Raises:
            BackendUnavailableError: It did not get there in time; it is kept and tried on.
        """
        if self._journal is None or self._thread is None:
            return
        goals = {"facts": self._facts.tail, "logs": self._logs.tail}
        until = time.monotonic() + timeout_s
        self._wake.set()
        with self._progress:
            while not self._reached(goals):
                left = until - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    raise self._not_flushed()
                self._wake.set()
                self._progress.wait(min(left, 0.5))
                if self._problem is not None and time.monotonic() > until - timeout_s + 2.0:
                    raise self._not_flushed()

    def _reached(self, goals: dict[str, int]) -> bool:
        return all(self._drains[name].reached(goal) for name, goal in goals.items())

    def _not_flushed(self) -> LooplineError:
        if isinstance(self._problem, LooplineError):
            return self._problem
        return BackendUnavailableError(
            f"What was recorded has not all reached {self.address} yet. It is safe in "
            f"{self.journal.folder} and will be sent when the store answers."
        )

    # --- the thread ---

    def _run(self) -> None:
        backoff_s = 0.0
        while not self._stop:
            self._wake.wait(backoff_s or POLL_S)
            self._wake.clear()
            try:
                with self.working:
                    self._work()
            except Exception as error:  # noqa: BLE001 - training goes on whatever the store does
                backoff_s = min(max(0.5, backoff_s * 2), MAX_BACKOFF_S)
                self._tell(error)
            else:
                backoff_s = 0.0
                self._problem = None
            with self._progress:
                self._progress.notify_all()

    def _work(self) -> None:
        if self._idle() and not self._due():
            return
        backend = self.backend
        # Both streams get their turn, however much the first has to send.
        while sum(drain.send_some(backend) for drain in self._drains.values()):
            with self._progress:
                self._progress.notify_all()
            if self._stop:
                return
        now = time.monotonic()
        if now >= self._beat_at:
            meta = self.journal.meta
            backend.call(Heartbeat(writer=meta.writer, host=meta.host, pid=meta.pid))
            self._beat_at = now + HEARTBEAT_S
        if now >= self._adopt_at:
            self._adopt_at = now + number("LOOPLINE_ADOPT_EVERY_S", 10.0)
            adopt_orphans(self.home, self.address, backend)

    def _idle(self) -> bool:
        return self._reached({"facts": self._facts.tail, "logs": self._logs.tail})

    def _due(self) -> bool:
        """Whether a sign of life or a look for orphans is due; not before the first fact."""
        has_written = any(drain.acknowledged for drain in self._drains.values())
        return has_written and time.monotonic() >= min(self._beat_at, self._adopt_at)

    def _tell(self, error: Exception) -> None:
        """Keep the error for ``flush`` and warn once, not once a try."""
        self._problem = error
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"Loopline cannot record to {self.address} now: {error} Work goes on; what is "
                f"logged is kept in {self.journal.folder} and sent later.",
                RuntimeWarning,
                stacklevel=2,
            )

    # --- the end ---

    def close(self, timeout_s: float = EXIT_WAIT_S) -> None:
        """Send what is left, as far as the store takes it, and let go.

        What cannot be sent stays in the journal's folder; the next process, a worker, a server
        on this machine or ``loopline sync`` brings it there.
        """
        if self._journal is not None and self._thread is not None:
            try:
                self.flush(timeout_s)
            except LooplineError as error:
                self._report_left(error)
            self._stop = True
            self._wake.set()
            self._thread.join(timeout=5.0)
            is_empty = self._idle() and not self._thread.is_alive()
            self._journal.close(remove=is_empty)
        if self._backend is not None:
            self._backend.close()
        self._reset()

    def _report_left(self, error: LooplineError) -> None:
        warnings.warn(
            f"Not everything recorded has reached {self.address} ({error}) It is kept in "
            f"{self.journal.folder}; `loopline sync` sends it.",
            RuntimeWarning,
            stacklevel=3,
        )

    def after_fork(self) -> None:
        """Begin anew in a forked child, without touching what is the parent's."""
        if self._journal is not None:
            self._journal.abandon()
        # Kept, so that nothing of the parent's is ever closed here by the garbage collector.
        _of_the_parent.append(self._backend)
        self._reset()


_recorders: dict[Address, Recorder] = {}
_registry_lock = threading.RLock()
_current: list[Address] = []
#: In a forked child: the parent's connections.
_of_the_parent: list[Backend | None] = []
#: Locks taken for the time of a fork.
_held: list[threading.Lock] = []


def set_tracking_uri(uri: str | Path | None) -> None:
    """Say where to record: a folder, ``http(s)://`` server, or database; None: the default."""
    _current.clear()
    if uri is not None and str(uri):
        _current.append(tracking_address(str(uri)))


def _current_address() -> Address:
    return _current[0] if _current else tracking_address()


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


def close_recorders() -> None:
    """Send what is left everywhere and let go of every journal; recording may begin anew."""
    with _registry_lock:
        for recorder in list(_recorders.values()):
            recorder.close()
        _recorders.clear()


def _before_fork() -> None:
    """Wait for the threads to be idle: a lock held at a fork is held for ever in the child."""
    _registry_lock.acquire()
    _held.extend(
        recorder.working
        for recorder in _recorders.values()
        if recorder.working.acquire(timeout=FORK_WAIT_S)
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
