"""Collections: tasks that gather results in a list, tuple, set or dict; and ``as_task``.

Arguments need none of them: a list with tasks in it is filled when the task runs. They are for
where a task is needed, such as the branch of a ``switch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.inputs import tasks_in
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopline.flows.flow import Flow

__all__ = ["Dict", "List", "Set", "Tuple", "as_task"]


class _Gathering(Task):
    """Takes any number of results without names, in the order they were given."""

    def bind(
        self,
        *args: Any,  # noqa: ANN401 - any values
        mapped: bool = False,
        upstream_tasks: Iterable[object] | None = None,
        flow: Flow | None = None,
        **kwargs: Any,  # noqa: ANN401 - any values
    ) -> Self:
        """Add this very task to a flow, to gather these values."""
        named = {f"arg_{number}": each for number, each in enumerate(args, start=1)}
        return super().bind(
            mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **named, **kwargs
        )

    @staticmethod
    def _in_order(results: dict[str, Any]) -> list[Any]:
        def number(name: str) -> int:
            return int(name.rpartition("_")[2])

        return [results[name] for name in sorted(results, key=number)]


class List(_Gathering):
    """Gathers results in a list: ``List().bind(first, second)``."""

    def run(self, **task_results: Any) -> list[Any]:  # noqa: ANN401 - any values
        """Return them as a list."""
        return self._in_order(task_results)


class Tuple(_Gathering):
    """Gathers results in a tuple."""

    def run(self, **task_results: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any values
        """Return them as a tuple."""
        return tuple(self._in_order(task_results))


class Set(_Gathering):
    """Gathers results in a set."""

    def run(self, **task_results: Any) -> set[Any]:  # noqa: ANN401 - any values
        """Return them as a set."""
        return set(task_results.values())


class Dict(Task):
    """Gathers results in a dict."""

    def run(self, keys: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
        """Return the values by their keys.

        Raises:
            ValueError: There are more of one than of the other.
        """
        return dict(zip(keys, values, strict=True))


def as_task(value: Any, flow: Flow | None = None) -> Task:  # noqa: ANN401 - any value
    """Make a task of a value: a constant, or a structure with tasks in it.

    Args:
        value: A task, which stays itself, or what becomes one.
        flow: The flow to which structures with tasks in them are added; by default the one of the
            ``with`` block.
    """
    if isinstance(value, Task):
        return value
    if isinstance(value, EdgeAnnotation):
        return as_task(value.value, flow)
    if next(tasks_in(value), None) is None:
        return Constant(value)
    if type(value) is dict:
        keys, values = list(value), list(value.values())
        return Dict().bind(keys=keys, values=values, flow=flow)
    if type(value) is list:
        return List().bind(*value, flow=flow)
    if type(value) is tuple:
        return Tuple().bind(*value, flow=flow)
    if type(value) is set:
        return Set().bind(*value, flow=flow)
    msg = f"{value!r} cannot become a task. Put its tasks in a list, tuple, set or dict."
    raise FlowBuildError(msg)
