"""The report of a flow run: what happens in it, as facts, and on standard error when asked."""

from __future__ import annotations

import logging
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.flows.running.log_buffer import LogBuffer
from loopline.flows.running.plain import writable
from loopline.flows.running.results import NOT_KEPT, Result, keep
from loopline.records.facts import FlowRunState, TaskRunState
from loopline.records.flows import LogLine, StateKind
from loopline.rules.words import task_words

if TYPE_CHECKING:
    from typing import Any

    from loopline.flows.running.attempt import Call
    from loopline.flows.running.recorder import Recorder
    from loopline.records.flows import FlowGraph, TaskRun

__all__ = ["Report"]


class Report:
    """Records one flow run; what pools tell it comes from any thread.

    Args:
        recorder: Where facts go.
        flow_run_id: The run.
        flow_name: Its flow.
        token: Fencing token under which the run is held.
        echo: Show log lines on standard error, too.
    """

    def __init__(
        self, recorder: Recorder, flow_run_id: str, flow_name: str, *, token: int, echo: bool
    ) -> None:
        self._recorder = recorder
        self._record = recorder.record
        self._id = flow_run_id
        self._flow_name = flow_name
        self._token = token
        self._echo = echo
        self._log = LogBuffer(self._record)

    def flow(
        self, state: StateKind, message: str, *, graph: FlowGraph | None = None,
        parameters: dict[str, Any] | None = None, parent: str = "",
    ) -> None:  # fmt: skip
        """Record that the flow run entered a state; what was logged before comes first."""
        if state is not StateKind.RUNNING:  # The first line after a pause is not held back.
            self._log.flush()
        self._record(
            FlowRunState(
                flow_run_id=self._id,
                state=state,
                at_ms=_now_ms(),
                message=writable(message),
                token=self._token,
                flow_name=self._flow_name,
                graph=graph,
                parameters=parameters or {},
                parent=parent,
            )
        )

    def task(
        self, slug: str, map_index: int, state: StateKind, message: str, attempt: int,
        reference: str, after_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Record that a task or child entered a state, and after how long it leaves that."""
        at_ms = _now_ms()
        self._record(
            TaskRunState(
                flow_run_id=self._id,
                task_slug=slug,
                map_index=map_index,
                state=state,
                at_ms=at_ms,
                message=writable(message),
                attempt=attempt,
                result=reference,
                token=self._token,
                until_ms=at_ms + round(after_s * 1000) if after_s > 0 else 0,
            )
        )

    def given(self, task_run: TaskRun, result: Result) -> None:
        """Record a state that was given, as if the task had just entered it."""
        reference = self.keep(task_run.task_slug, result) if task_run.result else NOT_KEPT
        self.task(
            task_run.task_slug, task_run.map_index, task_run.state, task_run.message, 0, reference
        )

    def keep(self, slug: str, result: Result) -> str:
        """Keep a result, and return its reference; if that cannot be, say so."""
        try:
            return keep(result, self._recorder.stage_bytes)
        except Exception as error:  # noqa: BLE001 - whatever pickling raises; it is reported
            message = (
                f"The result cannot be kept ({type(error).__name__}: {error}). If another worker "
                "has to take over this flow run, the task runs again."
            )
            self.line(slug, logging.WARNING, message)
            return NOT_KEPT

    # --- what pools report, from any thread ------------------------------------------------

    def started(self, call: Call) -> None:
        """Record that an attempt began."""
        where = call.where
        name = writable(call.values.get("task_run_name", ""))
        self._record(
            TaskRunState(
                flow_run_id=self._id,
                task_slug=where.task_slug,
                map_index=where.map_index,
                state=StateKind.RUNNING,
                at_ms=_now_ms(),
                message=name,
                attempt=call.attempt,
                token=self._token,
                name="" if name == call.task.name else name,
            )
        )

    def logged(self, call: Call, level: int, message: str, *, shown: bool) -> None:
        """Record a line a task wrote."""
        where = call.where
        self.line(where.task_slug, level, message, shown=shown, map_index=where.map_index)

    def warn(self, slug: str, message: str) -> None:
        """Record a warning about a task, or about the run."""
        self.line(slug, logging.WARNING, message)

    def line(
        self, slug: str, level: int, message: str, *, shown: bool = False, map_index: int = -1
    ) -> None:
        """Record a line about a task or an element of it, or about the run."""
        at_ms = _now_ms()
        message = writable(message)
        self._log.add(
            LogLine(
                flow_run_id=self._id,
                task_slug=slug,
                map_index=map_index,
                at_ms=at_ms,
                level=level,
                message=message,
            )
        )
        if self._echo and not shown:
            clock = datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%H:%M:%S")
            name = logging.getLevelName(level)
            sys.stderr.write(
                f"{clock} {name:<7} {task_words(slug, map_index) or self._flow_name}: {message}\n"
            )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
