"""``prefect.engine.flow_runner``: run a flow now, past its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.compat.prefect.engine.lent_handlers import lend_handlers
from loopline.compat.prefect.refusals import refusing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loopline.flows.executors.base import Executor
    from loopline.flows.flow import Flow
    from loopline.flows.states import State
    from loopline.flows.task import Task

__all__ = ["FlowRunner"]

__getattr__ = refusing(__name__)


class FlowRunner:
    """Runs a flow once.

    Args:
        flow: The flow.
        task_runner_cls: Taken for Prefect's sake: the engine runs the tasks.
        state_handlers: Called at each change of the flow's state, besides its own.
    """

    def __init__(
        self,
        flow: Flow,
        task_runner_cls: type | None = None,
        state_handlers: Iterable[Callable[..., State | None]] | None = None,
    ) -> None:
        self.flow = flow
        self.state_handlers = list(state_handlers or ())

    def run(
        self,
        state: State | None = None,
        task_states: Mapping[Task, State] | None = None,
        return_tasks: Iterable[Task] | None = None,
        parameters: Mapping[str, Any] | None = None,
        task_runner_state_handlers: Iterable[Callable[..., State | None]] | None = None,
        executor: Executor | None = None,
        context: Mapping[str, Any] | None = None,
        task_contexts: Mapping[Task, Mapping[str, Any]] | None = None,
    ) -> State:
        """Run it; return the final state, whose ``result`` is task → state.

        Args:
            state: Where the flow stands; a finished one is returned as it is.
            task_states: Where tasks stand: what they finished is not run again.
            return_tasks: The tasks to tell of, instead of all.
            parameters: Values of its parameters.
            task_runner_state_handlers: Called at each change of every task's state.
            executor: Where its tasks run.
            context: What the run context has in it, too.
            task_contexts: Taken for Prefect's sake.
        """
        flow = self.flow.copy()
        flow.state_handlers = [*flow.state_handlers, *self.state_handlers]
        handlers = list(task_runner_state_handlers or ())
        twins = lend_handlers(flow, handlers) if handlers else {}
        ended = flow.run(
            parameters=parameters,
            run_on_schedule=False,
            executor=executor,
            state=state,
            task_states={twins.get(task, task): at for task, at in (task_states or {}).items()},
            context=context,
        )
        if twins and isinstance(ended.result, dict):
            tasks = {twin: task for task, twin in twins.items()}
            ended.result = {tasks.get(task, task): each for task, each in ended.result.items()}
        if return_tasks is not None and isinstance(ended.result, dict):
            wanted = set(return_tasks)
            ended.result = {task: each for task, each in ended.result.items() if task in wanted}
        return ended
