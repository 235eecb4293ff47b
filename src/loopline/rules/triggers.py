"""Triggers: whether a task may run, from how the tasks before it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MANUAL", "TRIGGERS", "is_hopeless", "why_not"]

#: The trigger that lets a task run once somebody resumed it.
MANUAL = "manual_only"

#: Built-in triggers by name: (upstream successes, upstream failures) -> may run. Skipped counts
#: as a success, and each child of a mapped task counts by itself: of one that was mapped over
#: nothing none succeeded, and none failed. A task after none is not asked about. Any other
#: trigger is the user's own function, which only the edge can ask.
TRIGGERS: Mapping[str, Callable[[int, int], bool]] = {
    "all_successful": lambda _, bad: bad == 0,
    "all_failed": lambda good, _: good == 0,
    "any_successful": lambda good, _: good > 0,
    "any_failed": lambda _, bad: bad > 0,
    "all_finished": lambda _, __: True,
}

_WISHES = {
    "all_successful": "all to succeed",
    "all_failed": "all to fail",
    "any_successful": "one to succeed",
    "any_failed": "one to fail",
}


def is_hopeless(trigger: str, good: int, bad: int) -> bool:
    """Tell whether no further upstream could make the trigger pass."""
    return (trigger == "all_successful" and bad > 0) or (trigger == "all_failed" and good > 0)


def why_not(trigger: str, good: int, bad: int) -> str:
    """Explain in a sentence why a trigger did not let its task run."""
    wish = _WISHES.get(trigger, "otherwise")
    tasks = "task" if good + bad == 1 else "tasks"
    return f"Of {good + bad} upstream {tasks} {bad} failed; the trigger {trigger!r} wants {wish}."
