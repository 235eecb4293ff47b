"""State handlers: the user's functions that hear of each change of state, and may change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.flows.running.results import Result
from loopline.flows.signals import Signal, seconds_until
from loopline.flows.states import Failed, Scheduled, State
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from loopline.flows.flow import Flow
    from loopline.flows.task import Task

__all__ = ["Ending", "StateHandler", "callback_factory", "end_in", "handle_change"]

#: Gets the task or flow, its state and the next one; returns a state, or None for the next one.
StateHandler = Callable[[Any, State, State], State | None]


def callback_factory(
    fn: Callable[[Any, State], object], check: Callable[[State], bool]
) -> StateHandler:
    """Make a state handler that calls ``fn(tracked, state)`` for states that pass ``check``."""

    def handler(tracked: Any, _: State, new: State) -> State:  # noqa: ANN401 - a task or a flow
        if check(new):
            fn(tracked, new)
        return new

    return handler


def handle_change(
    tracked: Task | Flow, handlers: Iterable[StateHandler], old: State, new: State
) -> State:
    """Ask the handlers one after the other; return the state they settle on.

    A signal that one raises says the state; what else it raises makes it Failed.
    """
    for handler in handlers:
        try:
            new = handler(tracked, old, new) or new
        except Signal as signal:
            state = signal.state
            if state.stored is None and not state.is_successful():
                state.result = signal
            return state
        except Exception as error:  # noqa: BLE001 - the user's code; it is reported
            message = f"A state handler raised {type(error).__name__}: {error}"
            return Failed(message, error)
    return new


class Ending(NamedTuple):
    """How a state that a user made ends an attempt.

    Attributes:
        after_s: Seconds until it goes on, of one that does.
    """

    kind: StateKind
    message: str
    result: Result
    after_s: float | None = None


_ENDS = frozenset({StateKind.LOOPED, StateKind.PAUSED, StateKind.RETRYING})


def end_in(state: State) -> Ending:
    """Read a state that a user made as the end of an attempt.

    Pending and Scheduled mean that the task shall run again, at the state's time; Running and
    its like are no end, and so fail.
    """
    kind = state.kind
    stored = state.stored
    result = stored if isinstance(stored, Result) else Result(stored)
    after_s = None
    if isinstance(state, Scheduled) and state.start_time is not None:
        after_s = seconds_until(state.start_time, datetime.now(UTC))
    if kind.is_finished or kind in _ENDS:
        return Ending(kind, state.message, result, after_s)
    if state.is_pending():
        return Ending(StateKind.RETRYING, state.message, result, after_s or 0.0)
    message = f"It was to end as {kind}, which is no end. Return a finished state."
    return Ending(StateKind.FAILED, message, Result(state))
