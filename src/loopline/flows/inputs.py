"""Inputs of tasks: constants and other tasks' results, also inside lists, tuples, sets and dicts.

A structure is kept as it was given, with tasks in the places where their results go. Only the
exact built-in containers are looked into: what else a constant contains is its own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Input", "fill", "tasks_in"]


class Input(NamedTuple):
    """One argument of a task in a flow.

    Attributes:
        value: A constant, a task, or a structure with tasks in it.
        is_mapped: One run of the task for each element.
        has_tasks: Whether results must be filled in.
    """

    value: Any
    is_mapped: bool = False
    has_tasks: bool = False


def tasks_in(value: object) -> Iterator[Task]:
    """Find the tasks in a structure, in order."""
    if isinstance(value, Task):
        yield value
    elif type(value) in {list, tuple, set, frozenset}:
        for each in value:  # type: ignore[attr-defined]
            yield from tasks_in(each)
    elif type(value) is dict:
        for key, each in value.items():
            yield from tasks_in(key)
            yield from tasks_in(each)


def fill(value: object, result_of: Callable[[Task], Any]) -> Any:  # noqa: ANN401 - any structure
    """Put results in the places of tasks; containers are copied, constants are shared."""
    if isinstance(value, Task):
        return result_of(value)
    kind = type(value)
    if kind in {list, tuple, set, frozenset}:
        return kind(fill(each, result_of) for each in value)  # type: ignore[attr-defined]
    if kind is dict:
        return {
            fill(key, result_of): fill(each, result_of)
            for key, each in value.items()  # type: ignore[attr-defined]
        }
    return value
