"""The worker: claims flow runs that are due, and has each run in a process of its own.

A worker needs no port and no set-up. It asks for work, holds it by leases, and can die at any
moment: the lease then runs out and another worker goes on from the last finished tasks.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING

from loopline.backend.adopt import adopt_orphans
from loopline.backend.recorder import get_recorder
from loopline.errors import BackendUnavailableError, ConflictError, StorageFullError
from loopline.flows.presence import present
from loopline.records.operations import ClaimFlowRun, MaterialiseSchedules
from loopline.worker.supervise import Supervised

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from loopline.backend.recorder import Recorder
    from loopline.records.flows import FlowRunLease
    from loopline.settings import Address

__all__ = ["Worker", "stop_on_signals"]

log = logging.getLogger("loopline.worker")

_LONGEST_BACKOFF_S = 30.0

#: What passes by itself: the server is away, its disk is full, somebody else was quicker.
_PASSING = (BackendUnavailableError, StorageFullError, ConflictError, OSError)


class Worker:
    """Runs flow runs until told to stop.

    Args:
        address: The home, server or database whose flow runs it takes.
        name: What people see; by default this machine's name and the process id.
        slots: How many flow runs at once, 1 or more.
        lease_s: Seconds after which another worker takes over from a dead one.
        poll_s: Seconds between two questions for work.
        scheduler: Whether it also makes the flow runs that schedules ask for; by default when
            there is no server to do it. Several may: each due time makes one run all the same.
        schedule_every_s: Seconds between two looks at the schedules.
    """

    def __init__(
        self,
        address: Address,
        *,
        name: str = "",
        slots: int = 1,
        lease_s: float = 30.0,
        poll_s: float = 1.0,
        scheduler: bool | None = None,
        schedule_every_s: float = 5.0,
    ) -> None:
        self.address = address
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._slots = max(slots, 1)
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._scheduler = address.kind != "http" if scheduler is None else scheduler
        self._schedule_every_s = schedule_every_s
        self._next_schedule = 0.0
        self._running: dict[int, Supervised] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._failures = 0

    def run(self, stop: threading.Event, stop_now: threading.Event | None = None) -> None:
        """Work until told to stop.

        Args:
            stop: When set, nothing more is taken, and the call returns when what runs has ended.
            stop_now: When set, what runs is stopped and handed back, within 5 seconds.

        Raises:
            LooplineError: What does not pass by itself, such as a refused permission.
        """
        stop_now = stop_now or threading.Event()
        recorder = get_recorder(self.address.text)
        log.info("Worker %s takes flow runs from %s", self.name, self.address)
        with self._presence():
            while not (stop.is_set() or stop_now.is_set()):
                pause_s = self._step(recorder)
                self._pause(pause_s, stop, stop_now)
            self._drain(stop_now)
        log.info("Worker %s has stopped", self.name)

    def _presence(self) -> AbstractContextManager[None]:
        if self.address.kind == "home":
            return present(Path(self.address.text), self.name)
        return nullcontext()

    def _step(self, recorder: Recorder) -> float:
        """Take what there is; tell how many seconds to wait before looking again."""
        try:
            self._materialise(recorder)
            while self._has_free_slot():
                # What a dead run of this machine had done is brought in before it is taken
                # over: under the new token its records would be refused.
                adopt_orphans(recorder.home, recorder.address, recorder.backend)
                lease = recorder.backend.call(ClaimFlowRun(worker=self.name, lease_s=self._lease_s))
                if lease is None:
                    break
                self._begin(lease, recorder)
        except _PASSING as error:
            if not self._failures:
                log.warning("No work can be had now, trying again: %s", error)
            self._failures += 1
            longest = min(self._poll_s * 2.0 ** min(self._failures, 16), _LONGEST_BACKOFF_S)
            return longest * uniform(0.5, 1.0)  # noqa: S311 - no secret
        if self._failures:
            log.warning("The connection to %s works again", self.address)
            self._failures = 0
        return self._poll_s

    def _materialise(self, recorder: Recorder) -> None:
        if self._scheduler and time.monotonic() >= self._next_schedule:
            recorder.backend.call(MaterialiseSchedules())
            self._next_schedule = time.monotonic() + self._schedule_every_s

    def _has_free_slot(self) -> bool:
        with self._lock:
            return len(self._running) < self._slots

    def _begin(self, lease: FlowRunLease, recorder: Recorder) -> None:
        key = id(lease)

        def forget() -> None:
            with self._lock:
                self._running.pop(key, None)
            self._wake.set()

        supervised = Supervised(lease, recorder, lease_s=self._lease_s, on_end=forget)
        with self._lock:
            self._running[key] = supervised
        supervised.start()

    def _pause(self, seconds: float, stop: threading.Event, stop_now: threading.Event) -> None:
        """Wait; a free slot or a stop ends it early."""
        deadline = time.monotonic() + seconds
        while not (stop.is_set() or stop_now.is_set()):
            left = deadline - time.monotonic()
            if left <= 0 or self._wake.wait(min(left, 0.2)):
                break
        self._wake.clear()

    def _drain(self, stop_now: threading.Event) -> None:
        """Let what runs end, or hand it back when that takes too long for whoever waits."""
        with self._lock:
            left = list(self._running.values())
        if left and not stop_now.is_set():
            log.info("Finishing %d flow runs; interrupt again to hand them back", len(left))
        while left and not stop_now.is_set():
            left = [supervised for supervised in left if not supervised.join(0.1)]
        for supervised in left:
            supervised.hand_back()
        deadline = time.monotonic() + 4.0
        for supervised in left:
            if not supervised.join(max(0.0, deadline - time.monotonic())):
                log.warning("%s is left to its lease", supervised.flow_run_id)


def stop_on_signals() -> tuple[threading.Event, threading.Event]:
    """Turn SIGINT and SIGTERM into the two events that ``Worker.run`` takes.

    The first signal sets ``stop``, the second ``stop_now``. For the main thread of a program.
    """
    stop, stop_now = threading.Event(), threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        (stop_now if stop.is_set() else stop).set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop, stop_now
