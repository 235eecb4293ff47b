"""The process of one flow run: ``python -m loopline.worker.process``, started by a worker.

It reads its assignment from standard input, gets the flow's code, runs the engine from where an
earlier worker may have stopped, and records how it ended. User code runs here and nowhere else.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from loopline.worker.assignment import EXIT_UNDELIVERED, PAUSE, Assignment, read_assignment

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder

__all__ = ["main"]

#: How long the end may take to reach the store; after that the worker brings it in.
_FLUSH_S = 60.0

#: How long what a task left behind may go on once the run is over. Less would cut off exit
#: handlers of libraries that have something to bring home.
_EXIT_S = 10.0


def main() -> int:
    """Run one flow run; the exit code says whether its end reached the store."""
    control = _take_standard_input()
    try:
        assignment = read_assignment(control)
    except EOFError:
        return 1
    hold = threading.Event()
    threading.Thread(
        target=_obey, args=(control, assignment.folder, hold), name="loopline-watch", daemon=True
    ).start()
    code = _run(assignment, hold)
    _end_in_time(code)
    return code


def _take_standard_input() -> BinaryIO:
    """Keep the pipe from the worker for ourselves; user code reads from nothing."""
    control = os.fdopen(os.dup(0), "rb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return control


def _obey(control: BinaryIO, folder: str, hold: threading.Event) -> None:
    """Pause when the worker says so; end at once, with all that was started, when it is gone.

    Another worker goes on with the run when the lease ends; the journal has what was done.
    """
    with suppress(OSError):
        while order := control.read(1):
            if order == PAUSE:
                hold.set()
            else:
                hold.clear()
    shutil.rmtree(folder, ignore_errors=True)  # The worker would have.
    # The worker made this process the leader of a group of its own.
    os.killpg(os.getpid(), signal.SIGKILL)


def _end_in_time(code: int) -> None:
    """End even when a thread that a task left behind goes on: the run is over and recorded."""

    def end() -> None:
        sys.stderr.write("A task left a thread running; it was ended with its process.\n")
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(_EXIT_S, end)
    timer.daemon = True
    timer.start()


def _run(assignment: Assignment, hold: threading.Event) -> int:
    from loopline.backend.recorder import get_recorder
    from loopline.errors import BackendUnavailableError
    from loopline.flows.running.engine import run_flow
    from loopline.flows.shipping.code import load_flow

    lease = assignment.lease
    recorder = get_recorder(assignment.uri)
    try:
        if lease.flow_version.code is None:
            _record_failure(
                assignment, recorder, "The flow version has no code. Register it again."
            )
        else:
            # Before the flow's modules are imported: they may look at both.
            os.environ.update(lease.flow_version.code.variables)
            if lease.flow_version.code.working_dir:
                os.chdir(lease.flow_version.code.working_dir)
            flow = load_flow(
                lease.flow_version.code,
                lambda sha256: b"".join(recorder.backend.read_blob(sha256)),
                Path(assignment.folder),
            )
            for task in flow.tasks:
                task.log_stdout = True  # So that the log tells which task printed a line.
            run_flow(
                flow,
                parameters=lease.flow_run.parameters,
                flow_run_id=lease.flow_run.flow_run_id,
                token=lease.token,
                recorder=recorder,
                initial=lease.task_runs,
                hold=hold,
                scheduled_start_time=datetime.fromtimestamp(
                    lease.flow_run.scheduled_ms / 1000, UTC
                ),
            )
    except BackendUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNDELIVERED
    except Exception as error:  # noqa: BLE001 - whatever the flow's code raises while loading
        traceback.print_exc()
        _record_failure(assignment, recorder, f"{type(error).__name__}: {error}")
    try:
        recorder.flush(_FLUSH_S)
    except BackendUnavailableError:
        return EXIT_UNDELIVERED
    return 0


def _record_failure(assignment: Assignment, recorder: Recorder, message: str) -> None:
    from loopline.records.facts import FlowRunState
    from loopline.records.flows import StateKind

    recorder.record(
        FlowRunState(
            flow_run_id=assignment.lease.flow_run.flow_run_id,
            state=StateKind.FAILED,
            at_ms=time.time_ns() // 1_000_000,
            message=message,
            token=assignment.lease.token,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
