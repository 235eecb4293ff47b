"""Running flows in tests of what flows mean: no home, and each task's state and result at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.flows.recording import ListRecorder

from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from loopline.flows import Flow
    from loopline.flows.states import State

__all__ = ["kinds", "result", "results", "run"]


def run(flow: Flow, **parameters: Any) -> State:  # noqa: ANN401 - any values
    """Check and run a flow; return its final state."""
    flow.validate()
    return run_flow(flow, parameters=parameters, recorder=ListRecorder())


def results(flow: Flow, *tasks: Any, **parameters: Any) -> list[Any]:  # noqa: ANN401
    """Run a flow that succeeds; return the results of some tasks."""
    state = run(flow, **parameters)
    assert state.is_successful(), state.message
    return [state.result[task].result for task in tasks]


def result(flow: Flow, task: Any, **parameters: Any) -> Any:  # noqa: ANN401
    """Run a flow that succeeds; return the result of one task."""
    return results(flow, task, **parameters)[0]


def kinds(state: State, *tasks: Any) -> list[StateKind]:  # noqa: ANN401 - results of calls
    """List the kinds of state some tasks ended in."""
    return [StateKind(state.result[task].kind) for task in tasks]
