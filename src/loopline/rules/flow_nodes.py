"""Nodes of the flow machine: one task or child, and what it knows of those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from loopline.records.flows import GraphTask

__all__ = ["SUCCESSFUL", "Node"]

SUCCESSFUL = frozenset(kind for kind in StateKind if kind.is_successful)


#: What is below a child: its parent knows. One list for all of them, for there are many.
_NONE: list[tuple[Node, bool]] = []


class Node:
    """One task or child, and what it knows of the nodes before it.

    Attributes:
        waiting: Upstream edges whose outcome is still open.
        good: Upstream nodes that succeeded, children of mapped tasks counted one by one.
        bad: Upstream nodes that failed.
        skipped: Upstream nodes that were skipped (they are good, too).
        barren: Mapped edges whose upstream gave nothing to map over.
        below: Downstream nodes, and whether the edge is mapped. Of a child: empty.
        children: Children once a mapped task is expanded.
        unfinished: Children that have not finished.
        attempt: How often it was started, in this round if it loops.
        is_busy: Whether the edge owes an answer about it.
        is_resumed: Whether it was paused, and is let go on.
        gave_good: What it adds to ``good`` of the nodes below: itself, or its children.
        gave_bad: Likewise to ``bad``.
        gave_skipped: Likewise to ``skipped``.
    """

    __slots__ = (
        "above", "attempt", "bad", "barren", "below", "children", "gave_bad", "gave_good",
        "gave_skipped", "good", "index", "is_busy", "is_resumed", "parent", "skipped", "state",
        "task", "unfinished", "waiting",
    )  # fmt: skip

    def __init__(self, task: GraphTask, index: int = -1, parent: Node | None = None) -> None:
        self.task = task
        self.index = index
        self.parent = parent
        self.state = StateKind.PENDING
        self.attempt = 0
        self.is_busy = False
        self.is_resumed = False
        self.waiting = 0
        self.good = 0
        self.bad = 0
        self.skipped = 0
        self.barren = 0
        self.above: list[tuple[Node, bool]] = [] if parent is None else parent.above
        self.below: list[tuple[Node, bool]] = [] if parent is None else _NONE
        self.children: list[Node] | None = None
        self.unfinished = 0
        self.gave_good = 0
        self.gave_bad = 0
        self.gave_skipped = 0

    def tally(self) -> None:
        """Sum up how it ended, for itself and for its parent."""
        is_good = self.state in SUCCESSFUL
        is_skipped = self.state is StateKind.SKIPPED
        for each in (self,) if self.parent is None else (self, self.parent):
            each.gave_good += is_good
            each.gave_bad += not is_good
            each.gave_skipped += is_skipped

    def count(self, ended: Node) -> None:
        """Take note of how an upstream ended."""
        self.good += ended.gave_good
        self.bad += ended.gave_bad
        self.skipped += ended.gave_skipped
