"""Edges: that one task runs after another and perhaps takes its result."""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation

if TYPE_CHECKING:
    from loopline.flows.flow import Flow
    from loopline.flows.task import Task

__all__ = ["Edge"]


class _Ends(NamedTuple):
    upstream_task: Task
    downstream_task: Task
    key: str | None = None
    mapped: bool = False
    flattened: bool = False


class Edge(_Ends):
    """A dependency between two tasks of a flow.

    Attributes:
        upstream_task: Runs first.
        downstream_task: Runs after it.
        key: Argument of the downstream task that takes the result; None: only the order counts.
        mapped: The downstream task runs once for each element.
        flattened: What it takes are the elements of the result's elements.

    Raises:
        FlowBuildError: The key is no name, or both ends are one task.
    """

    __slots__ = ()

    def __new__(
        cls,
        upstream_task: Any,  # noqa: ANN401 - a task, or what becomes one
        downstream_task: Any,  # noqa: ANN401 - likewise
        key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        flattened: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        flow: Flow | None = None,
    ) -> Self:
        """Make an edge; what is no task becomes one, in ``flow`` or the flow of the block."""
        if upstream_task is downstream_task:
            msg = f"{upstream_task!r} cannot run before itself. Copy it with .copy() first."
            raise FlowBuildError(msg)
        if key is not None and not (
            isinstance(key, str) and key.isidentifier() and not iskeyword(key)
        ):
            msg = f"{key!r} cannot be the name of an argument. Give the name that run() has."
            raise FlowBuildError(msg)
        for end in (upstream_task, downstream_task):
            if isinstance(end, EdgeAnnotation):
                mapped = end.is_mapped(otherwise=mapped)
                flattened = flattened or end.is_flattened
        return super().__new__(
            cls, _as_task(upstream_task, flow), _as_task(downstream_task, flow), key,
            mapped, flattened,
        )  # fmt: skip

    @property
    def tasks(self) -> set[Task]:
        """Both ends."""
        return {self.upstream_task, self.downstream_task}

    def serialize(self) -> dict[str, Any]:
        """Describe the edge as data that JSON can hold."""
        from loopline.flows.authoring.description import describe_edge

        return describe_edge(self)

    def __repr__(self) -> str:
        how = "mapped " * self.mapped + "flattened " * self.flattened
        what = f" as {self.key}" if self.key else ""
        return f"<Edge: {how}{self.upstream_task.name} → {self.downstream_task.name}{what}>"


def _as_task(end: Any, flow: Flow | None) -> Task:  # noqa: ANN401 - see Edge
    from loopline.flows.authoring.gathering import as_task
    from loopline.flows.task import Task

    return end if isinstance(end, Task) else as_task(end, flow=flow)
