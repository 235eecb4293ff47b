"""A pool of processes: attempts overlap on all cores, and one that kills its own fails alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from loopline.errors import FlowError
from loopline.flows.attempt import Call, Outcome, timed_out
from loopline.flows.executors.messages import read_message, unpack_outcome, write_message
from loopline.flows.executors.queue_pool import QueuePool
from loopline.flows.results import Result
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    import queue
    from typing import BinaryIO

    from loopline.flows.executors.base import Events

__all__ = ["ProcessPool", "cannot_send", "pack_call"]

#: What a process begins with. Its path is an argument and not PYTHONPATH, which the programs
#: that a task starts, other Pythons too, would be given as well.
_START = """
import sys
sys.path[:] = sys.argv[1:]
del sys.argv[1:]
from loopline.flows.executors.child import main
main()
"""


class ProcessPool(QueuePool["_Worker"]):
    """Up to ``size`` processes, each served by a thread here, started when there is work.

    The processes are new interpreters and not forks: nothing of this one's threads, locks and
    connections is half copied into them, and the user's script is not run again either.
    """

    def __init__(self, events: Events, size: int, *, address: str = "") -> None:
        super().__init__(events, size)
        self._address = address

    def _make_worker(self, number: int) -> _Worker:  # noqa: ARG002 - a process has a number of its own
        return _Worker(self._events, self._calls, self._outcomes, self._address)

    def close(self, *, abandon: bool) -> None:
        """Stop the processes; ``abandon`` kills what still runs."""
        if abandon:
            self._drop_queued()
        for worker in self._workers:
            self._calls.put(None)
            if abandon:
                worker.kill()
        for worker in self._workers:
            worker.join()


class _Worker(threading.Thread):
    """Serves one process, and replaces it when it dies."""

    def __init__(
        self,
        events: Events,
        calls: queue.SimpleQueue[Call | None],
        outcomes: queue.SimpleQueue[Outcome | BaseException],
        address: str,
    ) -> None:
        super().__init__(name="loopline process worker", daemon=True)
        self._events = events
        self._calls = calls
        self._outcomes = outcomes
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Take attempts until told to stop."""
        while (call := self._calls.get()) is not None:
            try:
                self._outcomes.put(self._attempt(call))
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)
        self._dismiss()

    def kill(self) -> None:
        """End the process in the middle of what it does."""
        if self._process is not None:
            _kill(self._process)

    def _attempt(self, call: Call) -> Outcome:
        try:
            data = pack_call(call)
        except Exception as error:  # noqa: BLE001 - whatever pickling raises
            return cannot_send(call, error)
        process = self._alive()
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = None
        if call.timeout_s is not None:
            timer = threading.Timer(call.timeout_s, end)
            timer.daemon = True
            timer.start()
        self._events.started(call)
        try:
            outcome = self._converse(call, process, data)
        finally:
            if timer is not None:
                timer.cancel()
        if outcome is not None:
            return outcome
        code = _bury(process)
        self._process = None
        return timed_out(call) if late.is_set() else _died(call, process.pid, code)

    def _converse(
        self, call: Call, process: subprocess.Popen[bytes], data: bytes
    ) -> Outcome | None:
        """Send an attempt and listen until it ended; None when the process died."""
        stdout = cast("BinaryIO", process.stdout)
        try:
            write_message(_stdin(process), "call", data)
        except OSError:
            return None
        while (message := read_message(stdout)) is not None:
            match message:
                case ("printed", text):
                    sys.stdout.write(text)
                case ("logged", level, line, shown):
                    self._events.logged(call, level, line, shown=shown)
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
                # Of its own, so that what a task has started can be ended together with it.
                process_group=0,
            )
        return self._process

    def _dismiss(self) -> None:
        """Let the process end by itself, so that it brings what it recorded to the store."""
        process = self._process
        if process is None:
            return
        with suppress(OSError):
            write_message(_stdin(process), "stop")
        _bury(process)


def _stdin(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast("BinaryIO", process.stdin)  # It was opened with pipes.


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:  # Once reaped, its number may be another group's.
            os.killpg(process.pid, signal.SIGKILL)


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
