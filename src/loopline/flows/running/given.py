"""Task states given to ``flow.run(task_states=...)``: what they finished is not run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.flows.running.results import Result
from loopline.records.flows import StateKind, TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopline.flows.flow import Flow
    from loopline.flows.states import State
    from loopline.flows.task import Task

__all__ = ["given_task_runs"]

_WITH_VALUE = frozenset({StateKind.SUCCESS, StateKind.CACHED, StateKind.SKIPPED})


def given_task_runs(
    flow: Flow, task_states: Mapping[Task, State]
) -> Iterator[tuple[TaskRun, Result]]:
    """Turn states into task runs of a run that goes on, each with the result its reference names.

    States of tasks that are not in the flow mean nothing.
    """
    for task, state in task_states.items():
        slug = flow.slugs.get(task)
        if slug is not None:
            for index, each in enumerate([state, *getattr(state, "map_states", ())], start=-1):
                kind = StateKind(each.kind)
                value = each.result if kind is not StateKind.MAPPED else None
                reference = f"given:{slug}:{index}" if kind in _WITH_VALUE else ""
                run = TaskRun(
                    flow_run_id="",
                    task_slug=slug,
                    map_index=index,
                    state=kind,
                    message=each.message or "",
                    result=reference,
                )
                yield run, Result(value)
