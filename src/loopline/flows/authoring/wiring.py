"""Wiring: how a task gets its place in a flow; the half of ``Task`` that builds."""

from __future__ import annotations

import warnings
from inspect import isclass
from typing import TYPE_CHECKING, Any, Self

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.authoring.active import active_flow, active_tags
from loopline.flows.authoring.expressions import Expression

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable, Mapping

    from loopline.flows.flow import Flow
    from loopline.flows.task import Task

__all__ = ["Wiring"]


class Wiring(Expression):
    """What a task does to put itself, or a copy, into a flow."""

    tags: set[str]

    def signature(self) -> inspect.Signature:
        """Return the signature of ``run``."""
        raise NotImplementedError

    def copy(self, **changes: Any) -> Self:  # noqa: ANN401 - values of any attributes
        """Return another task like this one, with some attributes changed."""
        raise NotImplementedError

    def __call__(
        self,
        *args: Any,  # noqa: ANN401 - as run's
        mapped: bool = False,
        task_args: Mapping[str, Any] | None = None,
        upstream_tasks: Iterable[object] | None = None,
        flow: Flow | None = None,
        **kwargs: Any,  # noqa: ANN401 - as run's
    ) -> Any:  # noqa: ANN401 - a result is an argument of other tasks, whatever those want
        """Add a copy of the task to a flow, with these inputs; return the copy.

        Args:
            *args: The inputs: constants, other tasks, or lists and dicts of both.
            **kwargs: Inputs by name.
            mapped: One run for each element of the inputs.
            task_args: Attributes that the copy shall have instead.
            upstream_tasks: Tasks to run before this one that give it nothing.
            flow: The flow, instead of the one of the ``with`` block.

        Raises:
            FlowBuildError: There is no flow here, or ``run`` does not take these arguments.
        """
        here = active_flow.get()
        if here is not None and here.has_edges(self):
            warnings.warn(
                f"Calling {self.name!r}, which has its place in the flow {here.name!r} already, "
                "adds a copy that knows nothing of that place. Call the task it was made from, "
                "or use set_upstream and its like to add to what it has.",
                stacklevel=3 if self.__class__.__call__ is not Wiring.__call__ else 2,
            )
        made = self.copy(**(task_args or {}))
        return made.bind(*args, mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    def bind(
        self,
        *args: Any,  # noqa: ANN401 - as run's
        mapped: bool = False,
        upstream_tasks: Iterable[object] | None = None,
        flow: Flow | None = None,
        **kwargs: Any,  # noqa: ANN401 - as run's
    ) -> Self:
        """Add this very task to a flow, with these inputs; the imperative ``__call__``."""
        flow = self._flow(flow, "run(...)")
        flow.set_dependencies(
            self,
            upstream_tasks,
            keyword_tasks=self._arguments(args, kwargs),
            mapped=mapped,
        )
        self.tags |= active_tags.get()
        return self

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Find the name of each argument."""
        signature = self.signature()
        try:
            arguments = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            msg = f"Task {self.name!r}: {error}. It is {self.name}{signature}."
            raise FlowBuildError(msg) from None
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        return arguments

    def map(
        self,
        *args: Any,  # noqa: ANN401 - sequences of run's arguments
        upstream_tasks: Iterable[object] | None = None,
        flow: Flow | None = None,
        task_args: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - sequences of run's arguments
    ) -> Any:  # noqa: ANN401 - as __call__
        """Add a copy that runs once for each element of its inputs; see ``unmapped``.

        Raises:
            FlowBuildError: An input has no elements.
        """
        arguments = self._arguments(args, kwargs)
        for key, value in arguments.items():
            if not isinstance(value, EdgeAnnotation | Expression) and not _has_elements(value):
                msg = (
                    f"The input {key!r} of {self.name}.map is {value!r}, which has no elements to "
                    "map over. Give a list, or unmapped(...) to give it whole to each child."
                )
                raise FlowBuildError(msg)
        # What is unpacked are the children's results, of which nobody knows the number.
        made = self.copy(**{"nout": None, **(task_args or {})})
        return made.bind(mapped=True, upstream_tasks=upstream_tasks, flow=flow, **arguments)

    def set_upstream(
        self, task: object, flow: Flow | None = None, key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Self:  # fmt: skip
        """Let ``task`` run before this one and, with a key, give it its result."""
        self._flow(flow, "set_upstream(..., flow=...)").set_dependencies(
            self,
            upstream_tasks=None if key else [task],
            keyword_tasks={key: task} if key else None,
            mapped=mapped,
        )
        return self

    def set_downstream(
        self, task: Task, flow: Flow | None = None, key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Self:  # fmt: skip
        """Let ``task`` run after this one and, with a key, take this one's result."""
        task.set_upstream(self, flow=flow, key=key, mapped=mapped)
        return self

    def set_dependencies(
        self,
        flow: Flow | None = None,
        upstream_tasks: Iterable[object] | None = None,
        downstream_tasks: Iterable[object] | None = None,
        keyword_tasks: Mapping[str, object] | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        validate: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
    ) -> Self:
        """Say what runs before and after this task, and what it takes."""
        self._flow(flow, "set_dependencies(flow=...)").set_dependencies(
            self, upstream_tasks, downstream_tasks, keyword_tasks, mapped, validate
        )
        return self

    def __or__(self, other: Any) -> Any:  # noqa: ANN401 - a task, or tasks in a list
        """Let ``other`` run after this one; return it, so that ``a | b | c`` is a chain."""
        self.set_dependencies(downstream_tasks=[other])
        return other

    def __ror__(self, other: object) -> Self:
        """Let this one run after ``other``, such as a list of tasks."""
        return self.set_upstream(other)

    def pipe(self, task: Any, /, **kwargs: Any) -> Any:  # noqa: ANN401 - as __call__
        """Give the result to another task: ``extract().pipe(train, depth=unmapped(3))``.

        Args:
            task: The task, or its ``map``; or ``flatten``, ``mapped`` or ``unmapped``.
            **kwargs: Its other inputs.
        """
        if isclass(task) and issubclass(task, EdgeAnnotation):
            return task(self)
        return task(self, **kwargs)

    def _flow(self, flow: Flow | None, instead: str) -> Flow:
        flow = flow if flow is not None else active_flow.get()
        if flow is None:
            msg = (
                f"Task {self.name!r} was called outside a flow. Call it inside "
                f'`with Flow("name") as flow:`, or use {self.name}.{instead} here.'
            )
            raise FlowBuildError(msg)
        return flow


def _has_elements(value: object) -> bool:
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")
