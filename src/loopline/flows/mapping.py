"""``apply_map``: a function that adds tasks, once for each element, as one mapped piece."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.authoring.active import active_flow, inside_map, outside_blocks
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.gathering import as_task
from loopline.flows.flow import Flow
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["apply_map"]


class _Argument(NamedTuple):
    """What the function is given for one argument of ``apply_map``."""

    task: Task
    is_mapped: bool
    is_flattened: bool

    @property
    def is_plain(self) -> bool:
        """Whether it is a constant that every child gets whole: nothing to wait for."""
        return isinstance(self.task, Constant) and not self.is_mapped

    def as_input(self) -> Any:  # noqa: ANN401 - see ``Graph.set_input``
        """Annotate the task as its argument was."""
        made = EdgeAnnotation(self.task)
        made.annotations = {"mapped": self.is_mapped, "flattened": self.is_flattened}
        return made


class _Piece(Flow):
    """The tasks that the function adds, before they are put into the flow."""

    keeps_constants = True


def apply_map(func: Callable[..., Any], *args: Any, flow: Flow | None = None, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function's
    """Call a function that adds tasks, such that they run for each element of the arguments.

    Unlike a mapped task, the function may contain ``case`` and other control flow. Each element
    goes through all of it without waiting for the others. ``unmapped(...)`` gives an argument
    whole, ``flatten(...)`` the elements of its elements.

    Args:
        func: Adds tasks; called once, with a task for each argument.
        *args: Tasks and sequences to map over.
        flow: The flow, instead of the one of the ``with`` block; ``func`` must then take
            ``flow=...``, and add to that.
        **kwargs: Likewise, by name.

    Returns:
        What the function returns.

    Raises:
        FlowBuildError: There is no flow here, or an argument cannot be mapped over.
    """
    target = flow if flow is not None else active_flow.get()
    if target is None:
        msg = 'apply_map(...) was called outside a flow. Call it inside `with Flow("name"): ...`.'
        raise FlowBuildError(msg)
    for value in (*args, *kwargs.values()):
        if not isinstance(value, Task | EdgeAnnotation | Sequence):
            msg = (
                f"apply_map cannot map over {value!r}, a {type(value).__name__}. Give a task or a "
                "list, or unmapped(...) to give it whole."
            )
            raise FlowBuildError(msg)
    piece = _Piece("apply_map")
    given: dict[Task, _Argument] = {}

    def take(value: Any) -> Task:  # noqa: ANN401 - any argument
        task = as_task(value, flow=target)
        annotation = value if isinstance(value, EdgeAnnotation) else EdgeAnnotation(value)
        given[task] = _Argument(task, annotation.is_mapped(otherwise=True), annotation.is_flattened)
        if not given[task].is_plain:
            target.add_task(task)
        return task

    taken = [take(value) for value in args]
    named: dict[str, Any] = {key: take(value) for key, value in kwargs.items()}
    if flow is not None:
        named["flow"] = piece
    returned = copy_context().run(_trace, piece, func, taken, named)
    before = set(target.slugs)
    _put_in(target, piece, given)
    fresh = [task for task in piece.slugs if task not in before and task not in given]
    for task in fresh:
        above = target.upstream_tasks(task)
        # The piece as a whole waits for all arguments, whichever of them its tasks take.
        if above.isdisjoint(fresh):
            for argument in given.values():
                if argument.task not in above and not argument.is_plain:
                    target.add_upstream(task, argument.as_input())
    return returned


def _trace(piece: Flow, func: Callable[..., Any], args: list[Task], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - as the function's
    inside_map.set(True)
    with outside_blocks(), piece:
        return func(*args, **kwargs)


def _put_in(target: Flow, piece: Flow, given: dict[Task, _Argument]) -> None:
    """Add a piece's tasks to a flow, everything mapped that is not unmapped on purpose."""

    def annotate(task: Task) -> Any:  # noqa: ANN401 - see ``Graph.set_input``
        argument = given.get(task) or _Argument(task, is_mapped=True, is_flattened=False)
        return task if argument.is_plain else argument.as_input()

    todo = list(piece.slugs)
    for task in todo:  # Grows: a structure becomes a task, so that its elements are mapped.
        for key, each in list(piece.inputs(task).items()):
            if each.has_tasks and not isinstance(each.value, Task):
                with outside_blocks():
                    gathered = _gather(each.value, piece)
                piece.set_input(task, key, gathered)
                todo += list(piece.slugs)[len(todo) :]
    for task in piece.slugs:
        if not (task in given and given[task].is_plain):
            target.add_task(task)
    for task in piece.slugs:
        for key, each in piece.inputs(task).items():
            target.set_input(task, key, annotate(each.value) if each.has_tasks else each.value)
    for edge in piece.edges:
        if edge.key is None and not (
            edge.upstream_task in given and given[edge.upstream_task].is_plain
        ):
            target.add_upstream(edge.downstream_task, annotate(edge.upstream_task))


def _gather(value: Any, piece: Flow) -> Task:  # noqa: ANN401 - any structure
    """Make tasks of a structure and of the structures in it."""
    if type(value) in {list, tuple, set}:
        value = type(value)(_gather_inner(each, piece) for each in value)
    elif type(value) is dict:
        value = {key: _gather_inner(each, piece) for key, each in value.items()}
    return as_task(value, flow=piece)


def _gather_inner(value: Any, piece: Flow) -> Any:  # noqa: ANN401 - any structure
    return _gather(value, piece) if type(value) in {list, tuple, set, dict} else value
