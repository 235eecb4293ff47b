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
from loopline.journal.journal import STREAMS, Journal
from loopline.records.facts import Fact, LogsWritten
from loopline.records.operations import Heartbeat
from loopline.settings import Address, find_home, number, tracking_address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.operations import Operation

__all__ = [
    "Recorder",
    "close_recorders",
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


class Recorder:
    """Journals facts and answers operations for one address.

    Attributes:
        address: Where it records to.
        home: The home folder that holds the journal.
    """

    def __init__(self, address: Address) -> None:
        """Make this process's journal for an address; the store is not touched yet."""
        self.address = address
        self.home = home_of(address)
        if address.kind == "home":
            from loopline.journal.home import make_home

            make_home(self.home)
        self.journal = Journal(self.home / "journal", address.text)
        self._facts = self.journal.facts
        self._backend: Backend | None = None
        self._opening = threading.Lock()
        #: Held while the thread works, so that a fork can wait for it to be idle.
        self.working = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._progress = threading.Condition()
        self._problem: Exception | None = None
        self._warned = False
        self._drains = {
            name: StreamDrain(self.journal.folder, name, self.journal.meta) for name in STREAMS
        }
        self._beat_at = 0.0
        self._adopt_at = 0.0
        self._thread = threading.Thread(target=self._run, name="loopline-drain", daemon=True)
        self._thread.start()

    # --- recording ---

    def record(self, fact: Fact) -> None:
        """Journal a fact; on return it survives the death of the process.

        Raises:
            StorageFullError: The journal's disk is full.
        """
        if isinstance(fact, LogsWritten):
            self.journal.logs.append(fact)
        else:
            self._facts.append(fact)

    def log_metric(
        self, run_id: str, key: str, value: float, step: int, timestamp_ms: int
    ) -> None:
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
        goals = {"facts": self.journal.facts.tail, "logs": self.journal.logs.tail}
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
        while any([drain.send_some(backend) for drain in self._drains.values()]):
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
        return self._reached({"facts": self.journal.facts.tail, "logs": self.journal.logs.tail})

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
        try:
            self.flush(timeout_s)
        except LooplineError as error:
            self._report_left(error)
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=5.0)
        is_empty = self._idle() and not self._thread.is_alive()
        self.journal.close(remove=is_empty)
        if self._backend is not None:
            self._backend.close()

    def _report_left(self, error: LooplineError) -> None:
        warnings.warn(
            f"Not everything recorded has reached {self.address} ({error}) It is kept in "
            f"{self.journal.folder}; `loopline sync` sends it.",
            RuntimeWarning,
            stacklevel=3,
        )

    def abandon(self) -> None:
        """Let go in a forked child without touching what is the parent's."""
        self.journal.abandon()


_recorders: dict[Address, Recorder] = {}
_registry_lock = threading.RLock()
_current: list[Address] = []
#: In a forked child: the parent's recorders, kept so that nothing of theirs is ever closed here.
_of_the_parent: list[Recorder] = []
#: Locks taken for the time of a fork.
_held: list[threading.Lock] = []


def set_tracking_uri(uri: str | Path | None) -> None:
    """Say where to record: a folder, ``http(s)://`` server, or database; None: the default."""
    _current.clear()
    if uri is not None and str(uri):
        _current.append(tracking_address(str(uri)))


def get_tracking_uri() -> str:
    """Tell where facts are recorded to."""
    return (_current[0] if _current else tracking_address()).text


def get_recorder(uri: str | None = None) -> Recorder:
    """Get this process's recorder for an address, making it at first use."""
    if uri is not None:
        address = tracking_address(uri)
    else:
        address = _current[0] if _current else tracking_address()
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
    for recorder in _recorders.values():
        recorder.abandon()
    _of_the_parent.extend(_recorders.values())
    _recorders.clear()
    _held.clear()
    _registry_lock = threading.RLock()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
atexit.register(close_recorders)
