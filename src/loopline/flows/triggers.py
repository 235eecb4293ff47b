"""Triggers: whether a task runs, from how the tasks before it ended.

A trigger is one of these names' functions, or one's own: it gets a dict of edge → state and
returns whether to run; it may raise a signal to end the task in another state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loopline.flows.context import context
from loopline.flows.signals import PAUSE, SKIP
from loopline.rules.triggers import MANUAL, TRIGGERS

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
    "manual_only",
    "not_all_skipped",
    "some_failed",
    "some_successful",
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


def manual_only(upstream_states: Mapping[Edge, State]) -> bool:  # noqa: ARG001 - a trigger's
    """Run once somebody resumed the task, however the tasks before ended.

    Raises:
        PAUSE: Nobody has.
    """
    if not context.get("resume"):
        msg = "It waits for somebody to resume it."
        raise PAUSE(msg)
    return True


def some_successful(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Make a trigger that runs when so many tasks before succeeded.

    Args:
        at_least: How many; below 1, or 1.0, the share of them.
        at_most: How many; below 1, or 1.0, the share of them.
    """
    return _Some("some_successful", at_least, at_most, wants_failures=False)


def some_failed(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Make a trigger that runs when so many tasks before failed; see ``some_successful``."""
    return _Some("some_failed", at_least, at_most, wants_failures=True)


class _Some:
    """A trigger that counts."""

    def __init__(
        self, name: str, at_least: float | None, at_most: float | None, *, wants_failures: bool
    ) -> None:
        given = {"at_least": at_least, "at_most": at_most}
        told = [f"{key}={value}" for key, value in given.items() if value is not None]
        self.__name__ = f"{name}({', '.join(told)})"
        self._at_least = at_least
        self._at_most = at_most
        self._wants_failures = wants_failures

    def __call__(self, upstream_states: Mapping[Edge, State]) -> bool:
        """Count; a task with nothing before it runs, whatever is wanted of what is not there."""
        states = _states(upstream_states)
        if not upstream_states:
            return True
        count = sum(state.is_successful() is not self._wants_failures for state in states)
        least = 0.0 if self._at_least is None else _number(self._at_least, len(states))
        most = len(states) if self._at_most is None else _number(self._at_most, len(states))
        return least <= count <= most

    def __repr__(self) -> str:
        return self.__name__


def _number(wanted: float, among: int) -> float:
    is_share = 0 < wanted < 1 or (isinstance(wanted, float) and wanted == 1)
    return wanted * among if is_share else wanted


def trigger_name(trigger: Trigger | str) -> str:
    """Name a trigger as the graph has it.

    Only these very functions are known to the machine: a user's own ``all_failed`` is asked.
    """
    if isinstance(trigger, str):
        return trigger
    name = getattr(trigger, "__name__", type(trigger).__name__)
    if name in {*TRIGGERS, MANUAL} and globals().get(name) is not trigger:
        return f"own {name}"
    return name
