"""Ends: recording the end of a flow run that its process could not record itself."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING

from loopline.records.facts import FlowRunState, LogsWritten, TaskRunState
from loopline.records.flows import LogLine, StateKind
from loopline.records.operations import ListTaskRuns

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.records.flows import FlowRunLease

__all__ = ["tell_exit", "write_end"]

#: States of what somebody is working on, or was about to try again.
_IN_HAND = frozenset({StateKind.RUNNING, StateKind.SUBMITTED, StateKind.RETRYING})


def write_end(recorder: Recorder, lease: FlowRunLease, state: StateKind, message: str) -> None:
    """Record how a flow run ended, of the tasks in hand too, and wait until it is stored.

    Raises:
        BackendUnavailableError: The store is away; the end waits in the journal.
    """
    at_ms = time.time_ns() // 1_000_000
    flow_run_id = lease.flow_run.flow_run_id
    for task in recorder.call(ListTaskRuns(flow_run_id=flow_run_id)):
        if task.state in _IN_HAND:
            recorder.record(
                TaskRunState(
                    flow_run_id=flow_run_id,
                    task_slug=task.task_slug,
                    map_index=task.map_index,
                    state=state,
                    at_ms=at_ms,
                    message=message,
                    attempt=task.attempt,
                    token=lease.token,
                )
            )
    line = LogLine(flow_run_id=flow_run_id, at_ms=at_ms, level=logging.ERROR, message=message)
    recorder.record(LogsWritten(lines=[line]))
    recorder.record(
        FlowRunState(
            flow_run_id=flow_run_id,
            state=state,
            at_ms=at_ms,
            message=message,
            token=lease.token,
        )
    )
    recorder.flush()


def tell_exit(code: int | None) -> str:
    """Say how a process ended that had not said so itself."""
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ""
        if name == "SIGKILL":
            hint = " Often that is the system being out of memory: look at the kernel's log."
        return f"The process of the run was ended by {name}.{hint}"
    return f"The process of the run exited with code {code} before the run had ended."
