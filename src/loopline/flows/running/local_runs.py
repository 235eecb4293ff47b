"""``flow.run()``: a flow here and now, or here and at the times of its schedule."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, NotFoundError
from loopline.flows.authoring.order import check_executor, count
from loopline.flows.running.engine import run_flow
from loopline.flows.states import Scheduled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loopline.flows.executors.base import Executor
    from loopline.flows.flow import Flow
    from loopline.flows.states import State
    from loopline.flows.task import Task

__all__ = ["check_parameters", "run_here"]


def check_parameters(flow: Flow, given: dict[str, Any]) -> None:
    """Check that the parameters given are the flow's, and that none is missing.

    Raises:
        InvalidInputError: They are not; the message names the nearest ones.
    """
    known = {task.name: task for task in flow.parameters()}
    for name in given:
        if name not in known:
            hint = f"The flow {flow.name!r} has {', '.join(sorted(known)) or 'no parameters'}."
            raise InvalidInputError(str(NotFoundError.among("parameter", name, known, hint=hint)))
    missing = sorted(name for name, task in known.items() if task.required and name not in given)
    if missing:
        values = ", ".join(f'"{name}": ...' for name in missing)
        msg = (
            f"The flow {flow.name!r} needs {count(len(missing), 'more parameter')}: "
            f"{', '.join(missing)}. Run it with parameters={{{values}}}."
        )
        raise InvalidInputError(msg)
    for name, value in given.items():
        known[name].check(value)


def run_here(
    flow: Flow,
    parameters: dict[str, Any],
    *,
    executor: Executor | None = None,
    on_schedule: bool | None = None,
    task_states: Mapping[Task, State] | None = None,
    context: Mapping[str, Any] | None = None,
    not_before: datetime | None = None,
) -> State:
    """Run a flow in this process, once or at each time of its schedule; return the last state.

    A run without a schedule begins at ``not_before``, when that is still to come.

    Raises:
        FlowBuildError: The flow cannot run.
        InvalidInputError: The parameters are not the flow's, or the schedule has no more times.
    """
    flow.validate()
    check_executor(executor)
    if flow.schedule is None or on_schedule is False:
        check_parameters(flow, parameters)
        if not_before is not None:
            not_before = not_before if not_before.tzinfo else not_before.replace(tzinfo=UTC)
            from loopline.flows.running.scheduled_runs import sleep_until

            sleep_until(not_before)
        return run_flow(
            flow,
            parameters=parameters,
            executor=executor,
            scheduled_start_time=not_before,
            task_states=task_states,
            context=context,
            echo=True,
            may_resume=_ask_to_resume,
        )
    from loopline.flows.running.scheduled_runs import waited_for

    state: State | None = None
    for time in waited_for(flow):
        given = {**time.parameters, **parameters}
        check_parameters(flow, given)
        state = run_flow(
            flow,
            parameters=given,
            executor=executor,
            scheduled_start_time=time.at,
            task_states=task_states,
            context=context,
            echo=True,
            may_resume=_ask_to_resume,
        )
        task_states = None  # Only the first run goes on from there.
    return state or Scheduled("It was stopped while it waited for its schedule.")


def _ask_to_resume(name: str) -> bool:
    """Ask whoever sits at the terminal; where nobody does the run waits as Paused."""
    try:
        return input(f"{name} is paused; enter 'y' to resume it: ").strip().lower() == "y"
    except (EOFError, OSError):
        return False
