"""Whether the tasks of a flow can be sent to another process; and if not, what is in the way."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from loopline.errors import FlowBuildError
from loopline.flows.parameter import GetItem, Parameter
from loopline.flows.task import FunctionTask, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.flows.flow import Flow

__all__ = ["check_sendable", "obstacle"]

#: How deep to look for the object that refuses; deeper, its holder is named.
_DEPTH = 6


def check_sendable(flow: Flow, where: str) -> None:
    """Check that tasks and their constants can be pickled, before anything runs.

    Args:
        flow: The flow.
        where: Where its tasks would run, such as ``"processes"``.

    Raises:
        FlowBuildError: Names the task, and what it holds that cannot be sent.
    """
    # Here the engine makes them itself.
    tasks = {task: slug for task, slug in flow.slugs.items() if not isinstance(task, _AT_HOME)}
    constants = flow.constants
    # All at once: what tasks share is pickled once.
    if _refusal([(task, constants.get(task)) for task in tasks]) is None:
        return
    for task, slug in tasks.items():
        for what, value in ((None, task), *constants.get(task, {}).items()):
            error = _refusal(value)
            if error is None:
                continue
            found = obstacle(value)
            named = f"argument {what!r}" if what is not None else ""
            place = ", ".join(filter(None, [named, found])) or "the task itself"
            msg = (
                f"Task {slug!r} cannot be sent to {where}: {place} cannot be pickled "
                f"({type(error).__name__}: {error}). Make it inside the task, or run the flow "
                "with ThreadExecutor()."
            )
            raise FlowBuildError(msg)


_AT_HOME = (Parameter, GetItem)


def obstacle(value: object, depth: int = _DEPTH) -> str:
    """Say which part of a value cannot be pickled, as a way to it; empty: the value as such.

    Such as ``closure variable 'lock' of train (a lock)``.
    """
    for name, part in _parts(value):
        if _refusal(part) is not None:
            deeper = obstacle(part, depth - 1) if depth > 1 else ""
            here = f"{name} (a {type(part).__name__})"
            # A way through a task's function is clear without the task's own attribute.
            return deeper if deeper and name == "" else f"{here}: {deeper}" if deeper else here
    return ""


def _parts(value: object) -> Iterator[tuple[str, Any]]:
    """List what a value consists of, each with what to call it."""
    if isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield f"the object of the method {value.__name__!r}", value.__self__
    elif isinstance(value, dict):
        for key, each in value.items():
            yield f"the value of {key!r}", each
    elif isinstance(value, list | tuple | set | frozenset):
        for index, each in enumerate(value):
            yield f"element {index}", each
    elif isinstance(value, FunctionTask):
        yield "", value.fn
        yield from _attributes(value, but=("fn", "__wrapped__"))
    else:
        yield from _attributes(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    name = function.__name__
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        try:
            yield f"closure variable {variable!r} of {name}", cell.cell_contents
        except ValueError:  # Not assigned yet.
            continue
    used = set(function.__code__.co_names)
    for variable, value in function.__globals__.items():
        if variable in used and not isinstance(value, types.ModuleType):
            yield f"global variable {variable!r} used by {name}", value
    for value in function.__defaults__ or ():
        yield f"a default of {name}", value
    for key, value in (function.__kwdefaults__ or {}).items():
        yield f"the default of {key!r} of {name}", value
    yield from _attributes(function)


def _attributes(value: object, but: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    owner = f" of task {value.name!r}" if isinstance(value, Task) else ""
    for name, each in getattr(value, "__dict__", {}).items():
        if name not in but:
            yield f"attribute {name!r}{owner}", each


def _refusal(value: object) -> Exception | None:
    """Tell why a value cannot be pickled; None when it can."""
    import cloudpickle

    try:
        cloudpickle.dumps(value, protocol=5)
    except Exception as error:  # noqa: BLE001 - whatever pickling raises
        return error
    return None
