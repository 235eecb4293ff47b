"""The backlog: attempts that may start and wait for room in the pool, the deepest ones first.

So a row of a mapped flow goes through all its tasks before the next row begins, wherever tasks
run; what a row needs is made when it starts, and is let go of when it is through.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.records.flows import FlowGraph
    from loopline.rules.machine import StartTask

__all__ = ["Backlog", "depths"]


class Backlog:
    """Attempts that may start; of equal depth in the order they came.

    Args:
        graph: The flow: how deep each task lies in it.
    """

    def __init__(self, graph: FlowGraph) -> None:
        self._depths = depths(graph)
        self._waiting: dict[int, deque[StartTask]] = {}
        #: Negative depths at which something waits, the deepest first.
        self._levels: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._levels)

    def push(self, command: StartTask) -> None:
        """Take an attempt."""
        level = -self._depths[command.slug]
        waiting = self._waiting.get(level)
        if waiting is None:
            waiting = self._waiting[level] = deque()
            heapq.heappush(self._levels, level)
        waiting.append(command)

    def pop(self) -> StartTask:
        """Give the next attempt; there is one."""
        level = self._levels[0]
        waiting = self._waiting[level]
        command = waiting.popleft()
        if not waiting:
            del self._waiting[level]
            heapq.heappop(self._levels)
        return command


def depths(graph: FlowGraph) -> dict[str, int]:
    """Tell the length of the longest way to each task; 0 where nothing comes before."""
    found = dict.fromkeys((task.slug for task in graph.tasks), 0)
    below: dict[str, list[str]] = {slug: [] for slug in found}
    open_edges = dict.fromkeys(found, 0)
    for edge in graph.edges:
        below[edge.upstream].append(edge.downstream)
        open_edges[edge.downstream] += 1
    ready = [slug for slug, count in open_edges.items() if not count]
    while ready:
        slug = ready.pop()
        for after in below[slug]:
            found[after] = max(found[after], found[slug] + 1)
            open_edges[after] -= 1
            if not open_edges[after]:
                ready.append(after)
    return found
