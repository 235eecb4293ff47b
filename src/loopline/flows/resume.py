"""Resuming: which task runs of an earlier holder of a flow run still count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.flows.parameter import GetItem, Parameter
from loopline.flows.results import NOT_KEPT
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.flow import Flow
    from loopline.records.flows import TaskRun

__all__ = ["usable_task_runs"]

_WITH_RESULT = {StateKind.SUCCESS, StateKind.CACHED}


def usable_task_runs(flow: Flow, earlier: Iterable[TaskRun]) -> list[TaskRun]:
    """Choose the task runs that need not be run again.

    A task whose result was not kept (it could not be pickled) runs again when a task that has
    not finished takes that result, and so on upstream. Parameters and elements of results are
    made anew: that costs nothing.
    """
    runs: dict[str, list[TaskRun]] = {}
    for run in earlier:
        runs.setdefault(run.task_slug, []).append(run)
    if not runs:
        return []
    kept: list[TaskRun] = []
    unfinished: set[str] = set()
    for task in reversed(flow.sorted_tasks()):
        slug = flow.slugs[task]
        own = runs.get(slug, [])
        if isinstance(task, Parameter | GetItem):
            own = []
        elif any(
            edge.key is not None and flow.slugs[edge.downstream_task] in unfinished
            for edge in flow.edges_from(task)
        ):
            own = [run for run in own if run.state not in _WITH_RESULT or run.result != NOT_KEPT]
        is_finished = any(run.map_index < 0 and run.state.is_finished for run in own)
        if not is_finished or any(run.map_index >= 0 for run in own):
            # Whether all children of a mapped task finished is known only when it is expanded.
            unfinished.add(slug)
        kept.extend(own)
    return kept
