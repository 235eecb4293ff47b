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
from contextlib import nullcontext, suppress
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.backend.adopt import adopt_orphans
from loopline.backend.recorder import get_recorder
from loopline.compute.launch import Launched
from loopline.compute.reap import Reaper
from loopline.errors import BackendUnavailableError, ConflictError, StorageFullError
from loopline.flows.running.presence import present
from loopline.records.operations import (
    CheckWork,
    ClaimFlowRun,
    CloseLostFlowRuns,
    MaterialiseSchedules,
    ReportWorker,
)
from loopline.rules.labels import check_labels
from loopline.rules.words import count_words
from loopline.worker import DRAIN_S, LEASE_S, POLL_S
from loopline.worker.assignment import take_over
from loopline.worker.ends import write_end
from loopline.worker.own_schedules import OwnSchedules
from loopline.worker.starting import Zygote
from loopline.worker.supervise import Supervised

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from loopline.backend.recorder import Recorder
    from loopline.records.flows import FlowRunLease
    from loopline.settings import Address

__all__ = ["Worker", "stop_on_signals"]

log = logging.getLogger("loopline.worker")

_LONGEST_BACKOFF_S = 30.0
#: Between two words that this worker is there.
_REPORT_EVERY_S = 5.0

#: What passes by itself: the server is away, its disk is full, somebody else was quicker.
_PASSING = (BackendUnavailableError, StorageFullError, ConflictError, OSError)


class Worker:
    """Runs flow runs until told to stop.

    Args:
        address: The home, server or database whose flow runs it takes.
        name: What people see; by default this machine's name and the process id.
        slots: How many flow runs at once, 1 or more.
        labels: It takes flow runs that need no other labels.
        lease_s: Seconds after which another worker takes over from a dead one.
        poll_s: Seconds between two questions for work.
        rebuild: Run flows in the environments they were registered from, made by uv.
        drain_s: How long what runs may go on after a stop, before it is handed back.
        scheduler: Whether it also makes the flow runs that schedules ask for; by default when
            there is no server to do it. Several may: each due time makes one run all the same.
        schedule_every_s: Seconds between two looks at the schedules.
        assigned: A flow run and the token that somebody holds it by: the worker runs that under
            the same token, nothing else, and stops.
    """

    def __init__(  # noqa: PLR0913 - a worker has these
        self,
        address: Address,
        *,
        name: str = "",
        slots: int = 1,
        labels: Iterable[str] = (),
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        drain_s: float = DRAIN_S,
        rebuild: bool = False,
        scheduler: bool | None = None,
        schedule_every_s: float = 5.0,
        assigned: tuple[str, int] | None = None,
    ) -> None:
        self.address = address
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._id = uuid4().hex
        self._slots = max(slots, 1)
        self._labels = check_labels(labels)
        self._drain_s = drain_s
        self._rebuild = rebuild
        self._zygote = Zygote()
        self._report_at = 0.0
        self._looked = time.monotonic()
        self._lost_from = 0.0
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._scheduler = address.kind != "http" if scheduler is None else scheduler
        self._schedule_every_s = schedule_every_s
        self._next_schedule = 0.0
        self._own_schedules = OwnSchedules(schedule_every_s)
        self._running: dict[int, Supervised | Launched] = {}
        self._assigned = assigned
        self._reaper: Reaper | None = None
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
        self._zygote.warm_up()
        try:
            if self._assigned is not None:
                self._run_assigned(recorder, *self._assigned, stop, stop_now)
                return
            self._reaper = Reaper(recorder)
            with self._presence():
                while not (stop.is_set() or stop_now.is_set()):
                    pause_s = self._step(recorder)
                    self._pause(pause_s, stop, stop_now)
                self._drain(recorder, stop_now)
        finally:
            self._zygote.close()
        log.info("Worker %s has stopped", self.name)

    def _presence(self) -> AbstractContextManager[None]:
        if self.address.kind == "home":
            return present(Path(self.address.text), self.name)
        return nullcontext()

    def _step(self, recorder: Recorder) -> float:
        """Take what there is; tell how many seconds to wait before looking again."""
        if self._reaper is not None:
            self._reaper.look()
        try:
            self._report(recorder, "working")
            self._materialise(recorder)
            self._own_schedules.look(recorder)
            pause_s = self._look(recorder)
            while pause_s <= 0 and self._has_free_slot():
                # What a dead run of this machine had done is brought in before it is taken
                # over: under the new token its records would be refused.
                adopt_orphans(recorder.home, recorder.address, recorder.backend)
                lease = recorder.backend.call(
                    ClaimFlowRun(worker=self.name, labels=self._labels, lease_s=self._lease_s)
                )
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
        return min(pause_s, self._poll_s) if pause_s > 0 else self._poll_s

    def _look(self, recorder: Recorder) -> float:
        """Pass on what people want of what runs here; tell when there is something to take."""
        with self._lock:
            running = {each.flow_run_id: each for each in self._running.values()}
        news = recorder.backend.call(CheckWork(labels=self._labels, holding=list(running)))
        for flow_run_id, supervised in running.items():
            if flow_run_id in news.cancel:
                supervised.cancel()
            supervised.pause(paused=flow_run_id in news.pause)
        return self._poll_s if news.due_in_ms is None else news.due_in_ms / 1000

    def _report(self, recorder: Recorder, status: str) -> None:
        """Say now and then that this worker is there."""
        if status == "working" and time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + _REPORT_EVERY_S
        recorder.backend.call(
            ReportWorker(
                worker_id=self._id,
                name=self.name,
                host=socket.gethostname(),
                pid=os.getpid(),
                slots=self._slots,
                labels=self._labels,
                status=status,
            )
        )

    def _materialise(self, recorder: Recorder) -> None:
        now = time.monotonic()
        # A machine that slept has heard nobody: silence counts from when it was awake again.
        if now - self._looked > 3 * self._schedule_every_s:
            self._lost_from = now + self._lease_s
        self._looked = now
        if self._scheduler and now >= self._next_schedule:
            recorder.backend.call(MaterialiseSchedules())
            if now >= self._lost_from:
                recorder.backend.call(CloseLostFlowRuns())
            self._next_schedule = time.monotonic() + self._schedule_every_s

    def _has_free_slot(self) -> bool:
        with self._lock:
            return len(self._running) < self._slots

    def _begin(self, lease: FlowRunLease, recorder: Recorder) -> None:
        key = id(lease)
        code = lease.flow_version.code
        launches = code is not None and code.vm is not None and self._assigned is None

        def forget() -> None:
            with self._lock:
                self._running.pop(key, None)
            self._wake.set()

        supervised: Supervised | Launched
        if launches:
            supervised = Launched(
                lease, recorder, lease_s=self._lease_s, on_end=forget, write_end=write_end
            )
        else:
            supervised = Supervised(
                lease,
                recorder,
                lease_s=self._lease_s,
                on_end=forget,
                zygote=self._zygote,
                rebuild=self._rebuild,
            )
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

    def _run_assigned(
        self,
        recorder: Recorder,
        flow_run_id: str,
        token: int,
        stop: threading.Event,
        stop_now: threading.Event,
    ) -> None:
        """Run the one flow run; a first signal hands it back already, as the machine is going."""
        self._begin(take_over(recorder, flow_run_id, token, lease_s=self._lease_s), recorder)
        while self._has_work() and not (stop.is_set() or stop_now.is_set()):
            with suppress(*_PASSING):
                self._report(recorder, "working")
                self._look(recorder)
            self._wake.wait(self._poll_s)
        if stop.is_set():
            stop_now.set()
        self._drain(recorder, stop_now)

    def _has_work(self) -> bool:
        with self._lock:
            return bool(self._running)

    def _drain(self, recorder: Recorder, stop_now: threading.Event) -> None:
        """Let what runs end, or hand it back when that takes too long for whoever waits."""
        with self._lock:
            left = list(self._running.values())
        for supervised in left:
            if isinstance(supervised, Supervised):
                supervised.drain()
        if left and not stop_now.is_set():
            log.info(
                "Finishing %s for up to %g s; interrupt again to hand back what runs then",
                count_words(len(left), "flow run"),
                self._drain_s,
            )
            self._say(recorder, "draining")
        until = time.monotonic() + self._drain_s
        while left and not stop_now.is_set() and time.monotonic() < until:
            left = [supervised for supervised in left if not supervised.join(0.1)]
            self._look_after(recorder)
        for supervised in left:
            supervised.hand_back()
        deadline = time.monotonic() + 4.0
        for supervised in left:
            if not supervised.join(max(0.0, deadline - time.monotonic())):
                log.warning("%s is left to its lease", supervised.flow_run_id)
        self._say(recorder, "stopped")

    def _look_after(self, recorder: Recorder) -> None:
        with suppress(*_PASSING):
            self._look(recorder)
            if time.monotonic() >= self._report_at:
                self._report(recorder, "draining")

    def _say(self, recorder: Recorder, status: str) -> None:
        with suppress(*_PASSING):
            self._report(recorder, status)


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
