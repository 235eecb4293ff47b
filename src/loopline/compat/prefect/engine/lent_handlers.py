"""State handlers that hear of one run alone: they are on twins of its tasks, not on the tasks."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.flows.flow import Flow
    from loopline.flows.states import State
    from loopline.flows.task import Task

__all__ = ["lend_handlers"]


class _About(NamedTuple):
    """A handler that is told of the task whose twin ran."""

    handler: Callable[..., State | None]
    task: Task

    def hear(self, _twin: Any, old: State, new: State) -> State | None:
        return self.handler(self.task, old, new)


def lend_handlers(flow: Flow, handlers: Sequence[Callable[..., State | None]]) -> dict[Task, Task]:
    """Put a twin with more state handlers in the place of each task; return the twins by task.

    Args:
        flow: A copy that nobody else has.
        handlers: Called at each change of every task's state, after the task's own.
    """
    twins = {}
    for task in list(flow.tasks):
        twin = twins[task] = copy.copy(task)
        twin.slug = flow.slugs[task]
        own = (*task.state_handlers, *handlers)
        twin.state_handlers = [_About(each, task).hear for each in own]
        flow.replace(task, twin, validate=False)
    return twins
