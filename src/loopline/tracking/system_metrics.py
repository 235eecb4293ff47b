"""System metrics: how busy the machine is while runs are open, sampled on a thread of its own.

One thread serves all open runs of the process. A run gets its first points a second after it
began and then every ten seconds; it gets none after its end, and the thread keeps no process
alive. A sample costs a fraction of a millisecond (``benchmarks/bench_system_metrics.py``).
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError, LooplineError
from loopline.journal.stream import Series
from loopline.settings import number
from loopline.tracking.capture import soon
from loopline.tracking.values import told

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.tracking.run import ActiveRun
    from loopline.tracking.system_readings import Counters, Machine

__all__ = [
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "sample_into",
    "set_system_metrics_node_id",
    "set_system_metrics_sampling_interval",
]

INTERVAL_S = 10.0
#: From a run's begin to its first points.
FIRST_S = 1.0
#: While a run logs nothing else, its samples are sent this often, several at a time: what costs is
#: the store's transaction. They are journaled, and so safe from a kill, when they are taken.
TRAVEL_S = 30.0
#: Runs due within this part of their interval are sampled together.
TOGETHER = 0.025
#: The end of the process waits so long for a sample under way.
EXIT_WAIT_S = 2.0

_OFF = {"0", "false", "no", "off"}


class _Chosen:
    """What the program said; None: what the environment says."""

    enabled: bool | None = None
    interval_s: float | None = None
    node_id: str | None = None


def enable_system_metrics_logging() -> None:
    """Sample system metrics for the runs that start from now on; so it is from the start."""
    _Chosen.enabled = True


def disable_system_metrics_logging() -> None:
    """Sample none for the runs that start from now on; one may ask for them by itself."""
    _Chosen.enabled = False


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Set the seconds between two samples; None: what the environment says, or 10.

    Raises:
        InvalidInputError: It is not above 0.
    """
    is_number = isinstance(interval, (int, float)) and not isinstance(interval, bool)
    if interval is not None and not (is_number and interval > 0):
        msg = (
            "The sampling interval must be a number of seconds above 0, not "
            f"{type(interval).__name__} ({told(interval)}). Give one such as 10, or None for the "
            "setting."
        )
        raise InvalidInputError(msg)
    _Chosen.interval_s = interval


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Name this machine among those that log to one run: ``system/<node id>/…``."""
    _Chosen.node_id = node_id


def is_enabled() -> bool:
    """Tell whether runs are sampled unless they say otherwise."""
    if _Chosen.enabled is not None:
        return _Chosen.enabled
    said = os.environ.get("LOOPLINE_SYSTEM_METRICS")
    if said is None:
        said = os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "")
    return said.lower() not in _OFF


def _interval_s() -> float:
    if _Chosen.interval_s is not None:
        return _Chosen.interval_s
    return max(number("LOOPLINE_SYSTEM_METRICS_EVERY_S", INTERVAL_S), 0.01)


class _Sampled:
    """An open run, when it is due, and the counters it is measured against."""

    def __init__(self, run: ActiveRun, recorder: Recorder, *, is_resumed: bool) -> None:
        self.run = run
        self.recorder = recorder
        self.interval_s = _interval_s()
        node = f"{_Chosen.node_id}/" if _Chosen.node_id else ""
        self.prefix = f"system/{node}"
        self.due = time.monotonic() + min(FIRST_S, self.interval_s)
        self.begin: Counters | None = None
        self.before: Counters | None = None
        self.step: int | None = None if is_resumed else 0
        self._series: dict[str, Series] = {}

    def log(self, machine: Machine, now: Counters) -> None:
        """Log a point of everything."""
        if self.begin is None or self.before is None:
            self.begin = self.before = now
        values = machine.read(self.begin, self.before, now)
        self.before = now
        if self.step is None:
            self.step = self._next_step()
        timestamp_ms = time.time_ns() // 1_000_000
        if self.run.status.is_terminal:
            return
        # The first points are sent at once; later ones may travel together.
        with self.recorder.unhurried(TRAVEL_S if self.step else 0.0):
            for name, value in values.items():
                if name not in self._series:
                    self._series[name] = Series(self.run.run_id, self.prefix + name)
                self.recorder.log_point(self._series[name], self.step, timestamp_ms, value)
        self.step += 1

    def _next_step(self) -> int:
        """Ask where a resumed run's points ended; 0 when the store does not say now."""
        from loopline.records.operations import GetRun

        try:
            run = self.recorder.backend.call(GetRun(run_id=self.run.run_id))
        except LooplineError:
            return 0
        steps = [
            found.last_step for key, found in run.metrics.items() if key.startswith(self.prefix)
        ]
        return max(steps, default=-1) + 1


class Sampler:
    """The open runs, and the thread that samples for them; one a process."""

    def __init__(self) -> None:
        self._runs: list[_Sampled] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0
        self._is_over = False
        self._machine: Machine | None = None

    def add(self, sampled: _Sampled) -> None:
        """Sample for a run until it ends."""
        with self._changed:
            if self._is_over:
                return
            self._runs.append(sampled)
            is_asleep = self._thread is None
            if self._wakes_at > sampled.due:
                self._changed.notify()
        if is_asleep:
            soon(self._start)

    def _start(self) -> None:
        """Start the thread, unless somebody did or there is nothing to do any more."""
        with self._changed:
            if self._thread is None and self._runs and not self._is_over:
                self._thread = threading.Thread(
                    target=self._work, name="loopline-system-metrics", daemon=True
                )
                self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Sample no more: the recorders are about to close."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _work(self) -> None:
        try:
            self._sample_all()
        finally:  # Also when warnings are errors: the next run gets another thread.
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _sample_all(self) -> None:
        from loopline.tracking.system_readings import open_machine

        self._machine = self._machine or open_machine()
        while True:
            now = self._machine.counters()
            runs = self._open_runs(now)
            if not runs:
                return
            for sampled in runs:
                if sampled.due <= time.monotonic() + TOGETHER * sampled.interval_s:
                    self._sample(sampled, now)
            with self._changed:
                if self._is_over:
                    return
                self._wakes_at = min(sampled.due for sampled in self._runs)
                self._changed.wait(max(0.0, self._wakes_at - time.monotonic()))
                self._wakes_at = 0.0

    def _open_runs(self, now: Counters) -> list[_Sampled]:
        """Drop the runs that ended; note for new ones where they began.

        Returns:
            The open runs; when there are none the thread is no longer ours.
        """
        with self._changed:
            self._runs = [run for run in self._runs if not run.run.status.is_terminal]
            for sampled in self._runs:
                if sampled.begin is None:
                    sampled.begin = sampled.before = now
                    sampled.due = time.monotonic() + min(FIRST_S, sampled.interval_s)
            if self._is_over or not self._runs:
                self._thread = None
                return []
            return list(self._runs)

    def _sample(self, sampled: _Sampled, now: Counters) -> None:
        """Log for one run; what cannot be read or recorded now is tried at the next turn."""
        assert self._machine is not None  # noqa: S101 - opened by the thread that calls
        try:
            sampled.log(self._machine, now)
        except Exception as error:  # noqa: BLE001 - a thread that must outlive a full disk
            self._tell(error)
        sampled.due += sampled.interval_s
        if sampled.due < time.monotonic():  # The machine slept, or is too slow for the interval.
            sampled.due = time.monotonic() + sampled.interval_s

    def _tell(self, error: Exception) -> None:
        """Say once that something is wrong."""
        import warnings

        if not getattr(self, "_told", False):
            self._told = True
            warnings.warn(
                f"System metrics could not be recorded: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )


_sampler = Sampler()


def sample_into(
    run: ActiveRun,
    recorder: Recorder,
    *,
    log_system_metrics: bool | None = None,
    is_resumed: bool = False,
) -> None:
    """Sample for a run until it ends.

    Args:
        run: A run that has just begun.
        recorder: Where it is recorded to.
        log_system_metrics: Whether to; None: as is set for the process.
        is_resumed: It has points of an earlier time, after which its steps go on.
    """
    if is_enabled() if log_system_metrics is None else log_system_metrics:
        _sampler.add(_Sampled(run, recorder, is_resumed=is_resumed))


def _stop() -> None:
    _sampler.stop(EXIT_WAIT_S)


def _begin_anew() -> None:
    global _sampler  # noqa: PLW0603 - the thread and its lock are the parent's
    _sampler = Sampler()


atexit.register(_stop)
os.register_at_fork(after_in_child=_begin_anew)
