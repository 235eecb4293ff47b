"""``prefect.engine.task_runner``: run one task, given how those before it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.compat.prefect.engine.lent_handlers import lend_handlers
from loopline.compat.prefect.refusals import refusing
from loopline.flows.flow import Flow
from loopline.flows.states import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loopline.flows.edge import Edge
    from loopline.flows.states import State
    from loopline.flows.task import Task

__all__ = ["TaskRunner"]

__getattr__ = refusing(__name__)


class TaskRunner:
    """Runs a task as in a flow of its own: its trigger, retries and handlers count.

    Args:
        task: The task.
        state_handlers: Called at each change of its state, besides its own.
        flow_result: Taken for Prefect's sake.
    """

    def __init__(
        self,
        task: Task,
        state_handlers: Iterable[Callable[..., State | None]] | None = None,
        flow_result: object = None,
    ) -> None:
        self.task = task
        self.state_handlers = list(state_handlers or ())

    def run(
        self,
        state: State | None = None,
        upstream_states: Mapping[Edge, State] | None = None,
        context: Mapping[str, Any] | None = None,
        is_mapped_parent: bool = False,
    ) -> State:
        """Run the task; return the state it ends in.

        Args:
            state: Where it stands; a finished one is returned as it is.
            upstream_states: How each task before it ended, by edge.
            context: What the run context has in it, too.
            is_mapped_parent: Taken for Prefect's sake.
        """
        if state is not None and state.is_finished():
            return state
        waiting = [ended for ended in (upstream_states or {}).values() if not ended.is_finished()]
        if waiting:
            return state or Pending()
        flow = Flow(self.task.name, tasks=[self.task])
        given: dict[Task, State] = {}
        for edge, ended in (upstream_states or {}).items():
            flow.add_edge(edge.upstream_task, self.task, edge.key, mapped=edge.mapped)
            given[edge.upstream_task] = ended
        twins = lend_handlers(flow, self.state_handlers) if self.state_handlers else {}
        ran = flow.run(
            run_on_schedule=False,
            task_states={twins.get(task, task): ended for task, ended in given.items()},
            context=dict(context or {}),
        )
        ended_in: State = ran.result[twins.get(self.task, self.task)]
        return ended_in
