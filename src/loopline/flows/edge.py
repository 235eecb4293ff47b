"""Edges: that one task runs after another and perhaps takes its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loopline.flows.task import Task

__all__ = ["Edge"]


class Edge(NamedTuple):
    """A dependency between two tasks of a flow.

    Attributes:
        key: Argument of the downstream task that takes the result; None: only the order counts.
        mapped: The downstream task runs once for each element.
    """

    upstream_task: Task
    downstream_task: Task
    key: str | None = None
    mapped: bool = False
