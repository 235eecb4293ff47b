"""One attempt of a task: set its context, run it, and tell what came of it.

This is what executors call, in whatever thread or process they have.
"""

from __future__ import annotations

import logging
import threading
import traceback
from contextlib import nullcontext, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.backend.context import TaskContext, current_task
from loopline.errors import TaskTimeoutError
from loopline.flows.context import run_values
from loopline.flows.running.handlers import end_in
from loopline.flows.running.logs import capture_prints, log_sink
from loopline.flows.running.outcomes import Outcome
from loopline.flows.running.results import Result
from loopline.flows.signals import ENDRUN, LOOP, PAUSE, RETRY, Signal
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.flows.authoring.options import Extras
    from loopline.flows.running.logs import Sink
    from loopline.flows.task import Task

__all__ = ["Call", "Outcome", "explain", "run_attempt", "timed_out"]

_HERE = str(Path(__file__).parents[1])


class Call(NamedTuple):
    """An attempt to make; all of it can be pickled when the task and its arguments can.

    Attributes:
        arguments: Of ``task.run``, by name.
        values: What the run context has in it.
        where: The task run, with the flow run's fencing token.
        timeout_s: Seconds the attempt may take.
        extras: Of a task with options, or one that loops or was paused.
    """

    task: Task
    arguments: dict[str, Any]
    values: Mapping[str, Any]
    where: TaskContext
    attempt: int = 1
    timeout_s: float | None = None
    extras: Extras | None = None


def run_attempt(call: Call, sink: Sink) -> Outcome:
    """Run a task once. Its failures are outcomes; only interrupts and exits by signal pass.

    With a timeout it runs in a thread of its own, which is told to stop when it is late and
    given up: code that waits in C goes on until it returns to Python.
    """
    if call.timeout_s is None:
        return _run(call, sink)
    box: list[Outcome] = []
    context = copy_context()

    def attempt() -> None:
        with suppress(TaskTimeoutError):  # It was told to stop when it had just ended.
            box.append(context.run(_run, call, sink))

    name = f"loopline {call.where.task_slug}"
    thread = threading.Thread(target=attempt, name=name, daemon=True)
    thread.start()
    thread.join(call.timeout_s)
    if not box:
        _interrupt(thread)
        return timed_out(call)
    return box[0]


def _run(call: Call, sink: Sink) -> Outcome:
    where = call.where
    task, extras = call.task, call.extras
    here = current_task.set(where)
    of_task = {
        **call.values,
        "task_name": task.name,
        "task_slug": where.task_slug,
        "map_index": where.map_index,
        "task_run_count": call.attempt,
    }
    if extras is not None:
        of_task.update(extras.values)
    values = run_values.set(of_task)
    sink_before = log_sink.set(sink)
    try:
        if extras is None:
            return _once(call, sink)
        from loopline.flows.running.optional import run_with_options

        return run_with_options(call, extras, sink, _once)
    finally:
        log_sink.reset(sink_before)
        run_values.reset(values)
        current_task.reset(here)


def _once(call: Call, sink: Sink) -> Outcome:
    """Run the task, in its context."""
    where, task = call.where, call.task
    try:
        with capture_prints(sink) if task.log_stdout else _NOTHING:
            value = task.run(**call.arguments)
        return Outcome(where, call.attempt, StateKind.SUCCESS, "", Result(value))
    except Signal as signal:
        return _signalled(call, signal)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit and asyncio's CancelledError, too
        sink(logging.ERROR, explain(error), shown=False)
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        final = bool(task.retry_on) and not isinstance(error, task.retry_on)
        return Outcome(where, call.attempt, StateKind.FAILED, message, Result(error), final=final)


def _signalled(call: Call, signal: Signal) -> Outcome:
    """Make the outcome of a signal."""
    if isinstance(signal, ENDRUN):
        kind, message, result, after_s = end_in(signal.state)
        return Outcome(call.where, call.attempt, kind, message, result, after_s, final=True)
    delay_s = signal.delay_s(datetime.now(UTC)) if isinstance(signal, RETRY | PAUSE) else None
    has_value = signal.result is not None or signal.kind.is_successful
    result = Result(signal.result if has_value or isinstance(signal, LOOP) else signal)
    return Outcome(call.where, call.attempt, signal.kind, signal.message, result, delay_s)


_NOTHING = nullcontext()


def timed_out(call: Call) -> Outcome:
    """Make the outcome of an attempt that was late."""
    message = f"It took longer than its timeout of {call.timeout_s:g} s."
    error = TaskTimeoutError(
        f"Task {call.where.task_slug!r}: {message} Give it more with @task(timeout=...)."
    )
    return Outcome(call.where, call.attempt, StateKind.TIMED_OUT, message, Result(error))


def explain(error: BaseException) -> str:
    """Write an exception's traceback, from the user's first line on."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_HERE):
        frame = frame.tb_next
    lines = traceback.format_exception(type(error), error, frame or error.__traceback__)
    return "".join(lines).rstrip()


def _interrupt(thread: threading.Thread) -> None:
    """Raise in a thread that nobody waits for, so that it does not go on recording."""
    if thread.ident is not None:
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(TaskTimeoutError)
        )
