"""Resuming: which task runs of an earlier holder of a flow run still count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.flows.parameter import GetItem, Parameter
from loopline.flows.running.results import NOT_KEPT
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.flows.flow import Flow
    from loopline.records.flows import TaskRun

__all__ = ["usable_task_runs", "waits_s"]

_WITH_RESULT = frozenset({StateKind.SUCCESS, StateKind.CACHED, StateKind.SKIPPED})


def usable_task_runs(
    flow: Flow, earlier: Iterable[TaskRun], can_read: Callable[[str], bool]
) -> list[TaskRun]:
    """Choose the task runs that need not be run again.

    A task whose result was not kept (it could not be pickled), or cannot be read any more, runs
    again when a task that has not finished takes that result, and so on upstream. Parameters
    and elements of results are made anew when they are taken: that costs nothing.

    Args:
        flow: The flow.
        earlier: The task runs there are.
        can_read: Tells whether the result behind a reference can be read.
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
        is_taken = any(
            edge.key is not None and flow.slugs[edge.downstream_task] in unfinished
            for edge in flow.edges_from(task)
        )
        if is_taken:
            own = (
                [run for run in own if run.result and can_read(run.result)]
                if isinstance(task, Parameter | GetItem)
                else [run for run in own if _has_what_it_gave(run, can_read)]
            )
        is_finished = any(run.map_index < 0 and run.state.is_finished for run in own)
        if not is_finished or any(run.map_index >= 0 for run in own):
            # Whether all children of a mapped task finished is known only when it is expanded.
            unfinished.add(slug)
        kept.extend(own)
    return kept


def waits_s(earlier: Iterable[TaskRun], now_s: float) -> dict[tuple[str, int], float]:
    """Tell how many seconds from ``now_s`` on task runs still wait that go on by themselves."""
    return {
        (run.task_slug, run.map_index): max(0.0, run.until_ms / 1000 - now_s)
        for run in earlier
        if run.until_ms and run.state in {StateKind.PAUSED, StateKind.RETRYING}
    }


def _has_what_it_gave(run: TaskRun, can_read: Callable[[str], bool]) -> bool:
    if run.state not in _WITH_RESULT:
        return True
    return run.result != NOT_KEPT and can_read(run.result)
