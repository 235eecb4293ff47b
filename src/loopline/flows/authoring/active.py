"""What the code that builds a flow is inside of: a flow, a case, a resource, tags, a map."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.flows.authoring.graph import Graph
    from loopline.flows.flow import Flow
    from loopline.flows.task import Task

__all__ = [
    "Block",
    "active_blocks",
    "active_flow",
    "active_tags",
    "created_tasks",
    "inside_map",
    "outside_blocks",
    "tags",
]


class Block(Protocol):
    """A ``with`` block that wants to know of the tasks added in it: a case or a resource."""

    def add_task(self, task: Task, flow: Graph) -> None:
        """Take note of a task added to a flow inside the block."""


active_flow: ContextVar[Flow | None] = ContextVar("loopline_active_flow", default=None)

#: The innermost block of each kind: a case and a resource do not hide each other.
active_blocks: ContextVar[dict[str, Block]] = ContextVar("loopline_active_blocks", default={})  # noqa: B039 - never changed in place

#: Tags that tasks get in addition to their own.
active_tags: ContextVar[frozenset[str]] = ContextVar("loopline_active_tags", default=frozenset())

#: Whether ``apply_map`` is calling a function, so that everything is mapped already.
inside_map: ContextVar[bool] = ContextVar("loopline_inside_map", default=False)

#: Tasks made inside the ``with`` block of a flow, to warn of those that were never added.
created_tasks: ContextVar[dict[Task, None] | None] = ContextVar(
    "loopline_created_tasks", default=None
)


@contextmanager
def outside_blocks() -> Iterator[None]:
    """Leave every case and resource for a while."""
    token = active_blocks.set({})
    try:
        yield
    finally:
        active_blocks.reset(token)


@contextmanager
def tags(*words: str) -> Iterator[None]:
    """Make a block in which tasks that are made or added get these words as tags, too."""
    token = active_tags.set(active_tags.get() | frozenset(words))
    try:
        yield
    finally:
        active_tags.reset(token)
