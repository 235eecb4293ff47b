"""An attempt of a task with options: its handlers hear of it, its result is kept where they say."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from loopline.errors import LooplineError, TaskTimeoutError
from loopline.flows.context import Context, context, run_values
from loopline.flows.running.handlers import end_in, handle_change
from loopline.flows.running.outcomes import Notes, Outcome
from loopline.flows.running.results import Result
from loopline.flows.states import Cached, Running, State, make_state
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.flows.authoring.options import Extras
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.attempt import Call
    from loopline.flows.running.logs import Sink

__all__ = ["run_with_options"]

_KEPT = frozenset({StateKind.SUCCESS})


def run_with_options(
    call: Call, extras: Extras, sink: Sink, once: Callable[[Call, Sink], Outcome]
) -> Outcome:
    """Make one attempt, with all that the task's options ask for around it.

    Args:
        call: The attempt.
        extras: What its options need to know.
        sink: Where log lines go.
        once: Runs the task, and tells what came of it.
    """
    task = call.task
    handlers = task.state_handlers
    before = make_state(extras.previous)
    location = ""
    try:
        if task.target is not None and extras.result is not None:
            result = _at_target(call, extras.result)
            location = str(result.location)
            if result.exists(location):
                value = result.read(location).value
                found = Cached(f"It was at {location} already.", value)
                new = handle_change(task, handlers, before, found)
                return _outcome(call, new, location if new is found else "")
        running = Running("")
        new = handle_change(task, handlers, before, running) if handlers else running
        if not new.is_running():
            return _outcome(call, new)
        outcome = once(call, sink)
        if outcome.state in _KEPT and extras.result is not None and task.checkpoint is not False:
            location = _write(call, extras.result, outcome.result.value, location)
    except Exception as error:  # noqa: BLE001 - templates, buckets and folders; it is reported
        sink(logging.ERROR, f"{type(error).__name__}: {error}", shown=False)
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        final = not isinstance(error, LooplineError | OSError)
        outcome = Outcome(
            call.where, call.attempt, StateKind.FAILED, message, Result(error), None, final
        )
    if isinstance(outcome.result.value, TaskTimeoutError):
        return outcome  # Nobody waits for it any more; the engine tells the handlers.
    if handlers:
        new = make_state(outcome.state, outcome.message, outcome.result)
        settled = handle_change(task, handlers, Running(""), new)
        if settled is not new:
            return _outcome(call, settled)
    return outcome._replace(notes=Notes(location, is_handled=True))


def _outcome(call: Call, state: State, location: str = "") -> Outcome:
    """Make the outcome of a state that was not simply run for."""
    kind, message, result, after_s = end_in(state)
    return Outcome(
        call.where,
        call.attempt,
        kind,
        message,
        result,
        after_s,
        notes=Notes(location, is_handled=True),
    )


def _template_values(call: Call) -> dict[str, Any]:
    """Collect what a location may name; arguments win over the run context, as in Prefect 1."""
    parameters = run_values.get().get("parameters", {})
    return {**_Days(), **run_values.get(), **parameters, **call.arguments}


class _Days(dict[str, Any]):
    """What the context makes when it is asked for."""

    def __init__(self) -> None:
        days = ("today", "yesterday", "tomorrow")
        names = [f"{day}{form}" for day in days for form in ("", "_nodash")]
        names += ["date", "task_full_name"]
        super().__init__({name: Context.get(context, name) for name in names})


def _at_target(call: Call, result: ResultType) -> ResultType:
    """Fill a task's target in."""
    target = call.task.target
    made = result.copy()
    made.location = target
    values = _template_values(call)
    if callable(target):
        values = _only_known(target, values)
    return made.format(**values)


def _only_known(function: Callable[..., str], values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a function does not take."""
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return values
    return {name: value for name, value in values.items() if name in parameters}


def _write(call: Call, result: ResultType, value: object, location: str) -> str:
    """Keep a result where its author wants it; return the location, empty when it is nowhere."""
    if not result.is_kept:
        return ""
    if location:
        made = result.copy()
        made.location = location.replace("{", "{{").replace("}", "}}")
        return str(made.write(value).location)
    values = _template_values(call)
    if callable(result.location):
        values = _only_known(result.location, values)
    return str(result.write(value, **values).location)
