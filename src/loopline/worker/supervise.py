"""Supervision: one flow run in a process of its own, from its claim to its recorded end.

The process is the leader of its own session, so that all it starts can be stopped together. It
ends on its own when the worker dies: its standard input then closes. The worker ends it when
the lease went to somebody else, when the run is cancelled, and when it must stop at once.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from loopline.errors import (
    BackendUnavailableError,
    LeaseLostError,
    LooplineError,
    StorageFullError,
    UnsupportedError,
)
from loopline.flows.running.logs import PRINTS_ARE_LOGGED
from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun, ReleaseFlowRun, RenewLease
from loopline.worker.assignment import (
    EXIT_UNDELIVERED,
    GO_ON,
    PAUSE,
    Assignment,
    write_assignment,
)
from loopline.worker.ends import tell_exit, write_end
from loopline.worker.environments import python_of
from loopline.worker.leftovers import bring_in
from loopline.worker.output import OutputPump
from loopline.worker.starting import FreshProcess, stop_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.recorder import Recorder
    from loopline.records.flows import FlowRun, FlowRunLease
    from loopline.worker.starting import RunProcess, Zygote

__all__ = ["Supervised"]

log = logging.getLogger("loopline.worker")

#: Time between SIGTERM and SIGKILL for what a cancelled run started.
_GRACE_S = 2.0

#: How much later than its flow runs a worker may notice that all of them were told to stop.
_TOLD_S = 2.0

#: How long to wait for output that something outside the process group still holds open.
_OUTPUT_S = 5.0


class _Ended(Enum):
    """Why a process is no longer there."""

    BY_ITSELF = "by itself"
    LEASE_LOST = "lease lost"
    CANCELLED = "cancelled"
    HANDED_BACK = "handed back"


class Supervised:
    """A flow run that this worker holds.

    Args:
        lease: The hold on it.
        recorder: The worker's own.
        lease_s: How long each renewal holds it.
        on_end: Called, in the supervising thread, when all is recorded.
        zygote: Forks its process.
        rebuild: Run it in the environment that its flow was registered from, made by uv.
    """

    def __init__(
        self,
        lease: FlowRunLease,
        recorder: Recorder,
        *,
        lease_s: float,
        on_end: Callable[[], object],
        zygote: Zygote,
        rebuild: bool = False,
    ) -> None:
        self.lease = lease
        self._zygote = zygote
        self._rebuild = rebuild
        self._recorder = recorder
        self._lease_s = lease_s
        self._on_end = on_end
        self._hand_back = threading.Event()
        self._draining = threading.Event()
        self._cancel = threading.Event()
        self._process: RunProcess | None = None
        self._python = ""
        self._is_paused = False
        self._exited = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loopline-flow-run", daemon=True)

    @property
    def flow_run_id(self) -> str:
        """The flow run."""
        return self.lease.flow_run.flow_run_id

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def drain(self) -> None:
        """Let it end; but its worker stops, and whoever told it so may have told this one too."""
        self._draining.set()

    def hand_back(self) -> None:
        """Stop it at once and give it back, for another worker to go on with."""
        self._hand_back.set()
        self._wake.set()

    def cancel(self) -> None:
        """Stop it, with all it started: somebody wants that."""
        self._cancel.set()
        self._wake.set()

    def pause(self, *, paused: bool) -> None:
        """Let it start no more tasks, or let it go on."""
        process = self._process
        if process is None or paused is self._is_paused:
            return
        self._is_paused = paused
        with suppress(OSError, ValueError):  # It has just ended.
            process.stdin.write(PAUSE if paused else GO_ON)
            process.stdin.flush()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until its end is recorded; False when it is not yet."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the supervising thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._supervise()
        except LeaseLostError as error:
            log.warning("%s", error)
        except Exception:
            # The worker outlives what goes wrong with one flow run; its lease runs out.
            log.exception("Flow run %s could not be supervised", self.flow_run_id)
        finally:
            self._on_end()

    def _supervise(self) -> None:
        run = self.lease.flow_run
        log.info("Running flow %r (%s)", run.flow_name, run.flow_run_id)
        if self._rebuild and not self._find_python():
            return
        with tempfile.TemporaryDirectory(
            prefix="loopline-run-", ignore_cleanup_errors=True
        ) as folder:
            output = OutputPump(run.flow_run_id, self._recorder.record)
            process = self._start_process(folder, output)
            try:
                ended = self._watch(process)
            finally:
                stop_group(process, grace_s=0.0)
            output.join(_OUTPUT_S)
        self._conclude(ended, process, output.last_error_line)

    def _find_python(self) -> bool:
        """Make the recorded environment; a run that cannot have it has failed."""
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), daemon=True)
        keeper.start()
        try:
            self._python = python_of(self.lease.flow_version.environment, self._recorder.home)
        except UnsupportedError as error:
            write_end(self._recorder, self.lease, StateKind.FAILED, str(error))
            return False
        finally:
            done.set()
            keeper.join()
        return True

    def _keep(self, done: threading.Event) -> None:
        """Hold on to the run while its environment is made, which may take minutes."""
        while not done.wait(self._lease_s / 3):
            with suppress(LooplineError):
                self._renew()

    def _start_process(self, folder: str, output: OutputPump) -> RunProcess:
        uri = self._recorder.backend.address.text
        process = self._fork(
            {
                **os.environ,
                "LOOPLINE_URI": uri,
                PRINTS_ARE_LOGGED: "1",
                "PYTHONUNBUFFERED": "1",
                "PYTHONFAULTHANDLER": "1",
            }
        )
        output.start(process.stdout, process.stderr)
        with suppress(BrokenPipeError):  # It died at once; its exit code tells.
            write_assignment(process.stdin, Assignment(lease=self.lease, uri=uri, folder=folder))
        self._process = process
        waiter = threading.Thread(
            target=self._wait_for, args=(process,), name="loopline-wait", daemon=True
        )
        waiter.start()
        return process

    def _fork(self, variables: dict[str, str]) -> RunProcess:
        if self._python:
            return FreshProcess(variables, python=self._python)
        try:
            return self._zygote.start(variables)
        except OSError as error:
            log.warning("A fresh Python runs %s: %s", self.flow_run_id, error)
            return FreshProcess(variables)

    def _wait_for(self, process: RunProcess) -> None:
        process.wait()
        self._exited.set()
        self._wake.set()

    def _watch(self, process: RunProcess) -> _Ended:
        """Renew the lease until the process is gone, or must go."""
        every_s = self._lease_s / 3
        warned = False
        while True:
            self._wake.wait(every_s)
            self._wake.clear()
            if self._exited.is_set():
                return _Ended.BY_ITSELF
            if self._hand_back.is_set():
                stop_group(process, grace_s=0.0)
                return _Ended.HANDED_BACK
            if self._cancel.is_set():
                stop_group(process, grace_s=_GRACE_S)
                return _Ended.CANCELLED
            try:
                run = self._renew()
                warned = False
            except LeaseLostError:
                stop_group(process, grace_s=0.0)
                return _Ended.LEASE_LOST
            except LooplineError as error:
                # The run goes on: if somebody else takes it meanwhile, the token will tell.
                if not warned:
                    log.warning("The lease of %s is not renewed now: %s", self.flow_run_id, error)
                warned = True
                continue
            if run.cancel_requested:
                stop_group(process, grace_s=_GRACE_S)
                return _Ended.CANCELLED

    def _renew(self) -> FlowRun:
        return self._recorder.backend.call(
            RenewLease(flow_run_id=self.flow_run_id, token=self.lease.token, lease_s=self._lease_s)
        )

    # --- the end ---------------------------------------------------------------------------

    def _conclude(self, ended: _Ended, process: RunProcess, last_line: str) -> None:
        """Record how it ended, unless its process did; wait for the store when it is away."""
        if ended is _Ended.LEASE_LOST:
            log.warning("%s went to another worker; it was stopped here", self.flow_run_id)
            return
        delay_s = 0.2
        while True:
            try:
                self._renew()
                bring_in(self._recorder, process.pid)
                if ended is _Ended.HANDED_BACK:
                    self._give_back()
                else:
                    self._record_end(ended, process.returncode, last_line)
            except (BackendUnavailableError, StorageFullError, OSError) as error:
                if self._hand_back.is_set():
                    log.warning("%s is left to its lease: %s", self.flow_run_id, error)
                    return
                self._wake.clear()
                self._wake.wait(delay_s)
                delay_s = min(delay_s * 2, 10.0)
            else:
                return

    def _give_back(self, reason: str = "") -> None:
        self._recorder.backend.call(
            ReleaseFlowRun(
                flow_run_id=self.flow_run_id,
                token=self.lease.token,
                reason=reason or f"handed back by {self.lease.flow_run.worker}, which stops",
            )
        )
        log.info("Handed back %s", self.flow_run_id)

    def _went_with_its_worker(self, exit_code: int | None) -> bool:
        """Tell whether a service manager or a shutdown ended it, by telling all of them to stop."""
        if exit_code != -signal.SIGTERM:
            return False
        return self._hand_back.is_set() or self._draining.wait(_TOLD_S)

    def _record_end(self, ended: _Ended, exit_code: int | None, last_line: str) -> None:
        run = self._recorder.call(GetFlowRun(flow_run_id=self.flow_run_id))
        if run.token != self.lease.token:
            msg = f"Flow run {self.flow_run_id} went to {run.worker}; its end here does not count."
            raise LeaseLostError(msg)
        if run.state.is_finished or run.state is StateKind.PAUSED:
            log.info("Flow run %s ended: %s %s", self.flow_run_id, run.state, run.message)
            return
        if exit_code == EXIT_UNDELIVERED and ended is not _Ended.CANCELLED:
            # It could not even fetch its code, or not say all it did; nothing is wrong with it.
            self._give_back("the store was away; it goes on from its last finished task")
            return
        if ended is not _Ended.CANCELLED and self._went_with_its_worker(exit_code):
            self._give_back()
            return
        if ended is _Ended.CANCELLED:
            state, message = StateKind.CANCELLED, "cancelled while it ran"
        else:
            state, message = StateKind.FAILED, tell_exit(exit_code)
            if last_line:
                message += f" Last line: {last_line[:500]}"
        write_end(self._recorder, self.lease, state, message)
        log.warning("Flow run %s: %s", self.flow_run_id, message)
