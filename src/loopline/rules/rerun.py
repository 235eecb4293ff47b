"""Which task runs of a flow run are run again, when somebody asks for that."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.records.flows import FlowGraph, TaskRun

__all__ = ["unsuccessful", "with_all_after"]

#: A task, or with an index from 0 one child of a mapped task.
Place = tuple[str, int]


def unsuccessful(task_runs: Iterable[TaskRun]) -> list[Place]:
    """Find what did not end well."""
    return [(run.task_slug, run.map_index) for run in task_runs if not run.state.is_successful]


def with_all_after(
    graph: FlowGraph, task_runs: Iterable[TaskRun], begin: Iterable[Place]
) -> list[Place]:
    """Find the task runs that are run again when some are.

    What follows a task runs again; of mapped tasks only the children that follow a child.

    Args:
        graph: The flow.
        task_runs: What there is of it.
        begin: The first to run again; index -1 means a task with all its children.

    Returns:
        Of ``task_runs`` those to forget. The parent of a forgotten child is among them: it is
        expanded anew.
    """
    mapped: dict[tuple[str, str], bool] = {}
    for edge in graph.edges:
        pair = (edge.upstream, edge.downstream)
        mapped[pair] = mapped.get(pair, True) and edge.is_mapped
    below: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for (upstream, downstream), is_mapped in mapped.items():
        below[upstream].append((downstream, is_mapped))
    found: set[Place] = set()
    left = deque(begin)
    while left:
        place = left.popleft()
        slug, index = place
        if place in found or (slug, -1) in found:
            continue
        found.add(place)
        left.extend((after, index if is_mapped else -1) for after, is_mapped in below[slug])
    parents = {slug for slug, _ in found}
    return [
        (run.task_slug, run.map_index)
        for run in task_runs
        if (run.task_slug, run.map_index) in found
        or (run.task_slug, -1) in found
        or (run.map_index < 0 and run.task_slug in parents)
    ]
