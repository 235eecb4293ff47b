"""Triggers: whether a task runs, from how the tasks before it ended.

A trigger is one of these names' functions, or one's own: it gets a dict of edge → state and
returns whether to run; it may raise a signal to end the task in another state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loopline.flows.signals import SKIP
from loopline.rules.triggers import TRIGGERS

if TYPE_CHECKING:
    from loopline.flows.edge import Edge
    from loopline.flows.states import State

__all__ = [
    "Trigger",
    "all_failed",
    "all_finished",
    "all_successful",
    "always_run",
    "any_failed",
    "any_successful",
    "not_all_skipped",
    "trigger_name",
]

#: Gets edge → state; a ``dict``, so that own functions may ask for one or for any mapping.
Trigger = Callable[[dict[Any, Any]], bool]


def _ask(name: str, upstream_states: Mapping[Edge, State]) -> bool:
    states = _states(upstream_states)
    good = sum(state.is_successful() for state in states)
    return TRIGGERS[name](good, len(states) - good)


def _states(upstream_states: Mapping[Edge, State]) -> list[State]:
    return [
        each
        for state in upstream_states.values()
        for each in (state.map_states if state.is_mapped() else [state])
    ]


def all_successful(upstream_states: Mapping[Edge, State]) -> bool:
    """Run when every task before succeeded (a skipped one did)."""
    return _ask("all_successful", upstream_states)


def all_failed(upstream_states: Mapping[Edge, State]) -> bool:
    """Run when every task before failed."""
    return _ask("all_failed", upstream_states)


def any_successful(upstream_states: Mapping[Edge, State]) -> bool:
    """Run when a task before succeeded."""
    return _ask("any_successful", upstream_states)


def any_failed(upstream_states: Mapping[Edge, State]) -> bool:
    """Run when a task before failed."""
    return _ask("any_failed", upstream_states)


def all_finished(upstream_states: Mapping[Edge, State]) -> bool:
    """Run once every task before has finished, however it ended."""
    return _ask("all_finished", upstream_states)


always_run = all_finished


def not_all_skipped(upstream_states: Mapping[Edge, State]) -> bool:
    """Run when every task before succeeded and one of them was not skipped.

    Raises:
        SKIP: All were skipped.
    """
    states = _states(upstream_states)
    if all(state.is_skipped() for state in states):
        msg = "All tasks before it were skipped."
        raise SKIP(msg)
    return all(state.is_successful() for state in states)


def trigger_name(trigger: Trigger | str) -> str:
    """Name a trigger as the graph has it.

    Only these very functions are known to the machine: a user's own ``all_failed`` is asked.
    """
    if isinstance(trigger, str):
        return trigger
    name = getattr(trigger, "__name__", type(trigger).__name__)
    if name in TRIGGERS and globals().get(name) is not trigger:
        return f"own {name}"
    return name
