"""One process beside this one that makes attempts, and is ended when one takes too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from loopline.errors import FlowError, TaskMemoryError, TaskTimeoutError
from loopline.flows.executors.memory_watch import MemoryWatch
from loopline.flows.executors.messages import read_message, unpack_outcome, write_message
from loopline.flows.limits import Allowance, Limits, allowance, show_size
from loopline.flows.running.attempt import Call, Outcome, timed_out
from loopline.flows.running.results import Result
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from typing import BinaryIO

    from loopline.flows.executors.base import Events

__all__ = ["GRACE_S", "IsolatedProcess", "cannot_send", "pack_call"]

#: Seconds between telling a task to stop and ending its process.
GRACE_S = 2.0

#: What a process begins with. Its path is an argument and not PYTHONPATH, which the programs
#: that a task starts, other Pythons too, would be given as well.
_START = """
import sys
sys.path[:] = sys.argv[1:]
del sys.argv[1:]
from loopline.flows.executors.child import main
main()
"""


class IsolatedProcess:
    """A process that makes one attempt after the other, and is replaced when it dies.

    It is a new interpreter and not a fork: nothing of this one's threads, locks and connections
    is half copied into it, and the user's script is not run again either. It leads a process
    group, so that what tasks start is ended with it.

    Args:
        address: Where tasks record to; empty: where they would anyhow.
        limits: What each attempt may take, unless its task says otherwise.
    """

    def __init__(self, *, address: str = "", limits: Limits | None = None) -> None:
        self._address = address
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def attempt(self, call: Call, events: Events) -> Outcome:
        """Make an attempt there and wait for its outcome, whatever becomes of the process."""
        try:
            data = pack_call(call)
        except Exception as error:  # noqa: BLE001 - whatever pickling raises
            return cannot_send(call, error)
        process = self._alive()
        guard = _Guard(process, allowance(call, self._limits))
        events.started(call)
        try:
            outcome = self._converse(call, process, data, events, guard)
        finally:
            guard.end()
        if outcome is not None:
            return guard.explained(call, outcome)
        code = _bury(process)
        self._process = None
        return guard.outcome(call) or _died(call, process.pid, code)

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """Tell the task to stop, as Ctrl-C would, and end the process; safe from any thread."""
        self._is_stopped = True
        process = self._process
        if process is None:
            return
        _signal_group(process, signal.SIGINT)
        until = time.monotonic() + grace_s
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        end_group(process)

    def dismiss(self) -> None:
        """Let the process end by itself, so that it brings what it recorded to the store."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            write_message(_stdin(process), "stop")
        _bury(process)

    def _converse(
        self,
        call: Call,
        process: subprocess.Popen[bytes],
        data: bytes,
        events: Events,
        guard: _Guard,
    ) -> Outcome | None:
        """Send an attempt and listen until it ended; None when the process died."""
        stdout = cast("BinaryIO", process.stdout)
        try:
            write_message(_stdin(process), "call", data, guard.allowed.memory_bytes)
        except OSError:
            return None
        while (message := read_message(stdout)) is not None:
            match message:
                case ("began",):
                    guard.begin()  # What the interpreter takes to start is not the task's.
                case ("printed", text):
                    sys.stdout.write(text)
                case ("logged", level, line, shown):
                    events.logged(call, level, line, shown=shown)
                case ("ended", *parts):
                    return unpack_outcome(call.where, tuple(parts))
        return None

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            _bury(self._process)
            self._process = None
        if self._process is None:
            environment = dict(os.environ)
            if self._address:
                environment["LOOPLINE_URI"] = self._address
            self._process = subprocess.Popen(  # noqa: S603 - ourselves, in the user's own Python
                # -P: nothing in the working directory may stand in for a module of ours.
                [sys.executable, "-P", "-c", _START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                process_group=0,
            )
            if self._is_stopped:  # Meanwhile, from another thread.
                end_group(self._process)
        return self._process


class _Guard:
    """Ends a process whose attempt takes more than it may."""

    def __init__(self, process: subprocess.Popen[bytes], allowed: Allowance) -> None:
        self.allowed = allowed
        self._process = process
        self._timer: threading.Timer | None = None
        self._watch: MemoryWatch | None = None
        self._is_late = False

    def begin(self) -> None:
        """Start to watch: the attempt began."""
        if self.allowed.time_s is not None:
            self._timer = threading.Timer(self.allowed.time_s, self._late)
            self._timer.daemon = True
            self._timer.start()
        if self.allowed.memory_bytes is not None:
            self._watch = MemoryWatch(
                self._process.pid, self.allowed.memory_bytes, lambda: end_group(self._process)
            )

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.end()

    def outcome(self, call: Call) -> Outcome | None:
        """Make the outcome of an attempt that was ended here; None when it was not."""
        if self._watch is not None and self._watch.found:
            return _too_large(call, self.allowed, f" It had {show_size(self._watch.found)}.")
        if self._is_late and self.allowed.is_timeout:
            return timed_out(call)
        if self._is_late:
            message = f"It took longer than its time limit of {self.allowed.time_s:g} s."
            error = TaskTimeoutError(
                f"Task {call.where.task_slug!r}: {message} Give it more with Limits(time=...)."
            )
            return Outcome(call.where, call.attempt, StateKind.TIMED_OUT, message, Result(error))
        return None

    def explained(self, call: Call, outcome: Outcome) -> Outcome:
        """Name the limit when the system refused memory because of it."""
        is_refused = outcome.state.is_failed and outcome.message.startswith("MemoryError")
        if self.allowed.memory_bytes is None or not is_refused:
            return outcome
        return _too_large(call, self.allowed, " The system gave it no more.")

    def _late(self) -> None:
        self._is_late = True
        end_group(self._process)


def _too_large(call: Call, allowed: Allowance, how: str) -> Outcome:
    assert allowed.memory_bytes is not None  # noqa: S101 - it was over it
    message = f"It took more than its memory limit of {show_size(allowed.memory_bytes)}.{how}"
    error = TaskMemoryError(
        f"Task {call.where.task_slug!r}: {message} Give it more with Limits(memory=...)."
    )
    return Outcome(call.where, call.attempt, StateKind.FAILED, message, Result(error))


def _stdin(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast("BinaryIO", process.stdin)  # It was opened with pipes.


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it started."""
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:  # Once reaped, its number may be another group's.
            os.killpg(process.pid, number)


def _bury(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end and close what led to it; return its exit code."""
    code = process.wait()
    with suppress(OSError):  # What was still on its way to it is lost with it.
        _stdin(process).close()
    cast("BinaryIO", process.stdout).close()
    return code


def pack_call(call: Call) -> bytes:
    """Pickle an attempt, code that a script defined included."""
    import cloudpickle

    return bytes(cloudpickle.dumps(call._replace(timeout_s=None), protocol=5))


def cannot_send(call: Call, error: Exception) -> Outcome:
    """Make the outcome of an attempt that cannot be pickled."""
    message = (
        f"The task or its arguments cannot be sent to another process ({type(error).__name__}: "
        f"{error}). Run the flow with threads, or give the task what can be pickled."
    )
    result = Result(FlowError(message))
    return Outcome(call.where, call.attempt, StateKind.FAILED, message, result, final=True)


def _died(call: Call, pid: int, code: int) -> Outcome:
    how = f"exit code {code}"
    if code < 0:
        try:
            how = signal.Signals(-code).name
        except ValueError:
            how = f"signal {-code}"
    hint = (
        " The system may have run out of memory." if code == -getattr(signal, "SIGKILL", 9) else ""
    )
    message = f"Its process {pid} died ({how}).{hint}"
    result = Result(FlowError(message))
    return Outcome(call.where, call.attempt, StateKind.FAILED, message, result)
