"""Inputs of tasks: constants and other tasks' results, also inside lists, tuples, sets and dicts.

A structure is kept as it was given, with tasks in the places where their results go. Only the
exact built-in containers are looked into: what else a constant contains is its own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Flat", "Input", "elements_of", "fill", "flatten_result", "replace", "tasks_in"]


class Input(NamedTuple):
    """One argument of a task in a flow.

    Attributes:
        value: A constant, a task, a structure with tasks in it, or one of these as ``Flat``.
        is_mapped: One run of the task for each element.
        has_tasks: Whether results must be filled in.
    """

    value: Any
    is_mapped: bool = False
    has_tasks: bool = False


class Flat:
    """Stands for the elements of a value's elements, once the value is there.

    Attributes:
        value: A task, or a structure with tasks in it.
    """

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


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
    elif isinstance(value, Flat | EdgeAnnotation):
        yield from tasks_in(value.value)


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
    if isinstance(value, EdgeAnnotation):  # Inside a structure, which is filled as a whole.
        value = Flat(value.value) if value.is_flattened else value.value
        return fill(value, result_of)
    if isinstance(value, Flat):
        return flatten_result(fill(value.value, result_of))
    return value


def flatten_result(result: Any) -> Any:  # noqa: ANN401 - any result
    """List the elements of a result's elements; what has none stays as it is."""
    if isinstance(result, BaseException):
        return result
    try:
        elements = list(result)
    except TypeError:
        return result
    return [part for each in elements for part in elements_of(each)]


def elements_of(value: Any) -> list[Any]:  # noqa: ANN401 - any element of a result
    """List the elements of one element; what has none, such as an exception, is its own."""
    return list(value) if hasattr(value, "__iter__") else [value]


def replace(value: object, old: Task, new: object) -> Any:  # noqa: ANN401 - any structure
    """Put ``new`` in the places of one task in a structure; the rest stays."""
    if isinstance(value, Flat):
        return Flat(replace(value.value, old, new))
    return fill(value, lambda task: new if task is old else task)
