"""Flows: tasks and the order they run in, built before anything runs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from loopline.errors import FlowBuildError
from loopline.flows.authoring import order
from loopline.flows.authoring.active import active_flow, created_tasks
from loopline.flows.authoring.building import Builder
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.options import with_on_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextvars import Token
    from pathlib import Path

    from loopline.flows.authoring.visualize import Picture
    from loopline.flows.edge import Edge
    from loopline.flows.executors.base import Executor
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.handlers import StateHandler
    from loopline.flows.schedules import Schedule
    from loopline.flows.states import State
    from loopline.flows.task import Task
    from loopline.records.automations import FlowTrigger

__all__ = ["Flow"]


class _Entered(NamedTuple):
    """What a ``with`` block of a flow puts back when it ends."""

    flow: Token[Flow | None]
    created: Token[dict[Task, None] | None]


class Flow(Builder):
    """A graph of tasks, built inside its ``with`` block or by ``add_edge`` and its like.

    Args:
        name: Its name, unique in a project.
        schedule: When it runs by itself.
        executor: Where its tasks run; in this thread, one after the other, by default.
        run_config: Where and how workers run it, such as a ``VMRun``: a cloud machine for each run.
        storage: Taken for Prefect 1's sake and kept: ``register`` stores the code by itself.
        tasks: Tasks to begin with.
        edges: Edges to begin with.
        reference_tasks: The tasks that decide how a run ended; by default the last ones.
        state_handlers: Functions that hear of each change of a run's state (flow, old, new), and
            may return another new one.
        on_failure: Called with the flow and the state when a run failed.
        result: Where the results of tasks are kept that do not say it themselves.
        validate: Check the whole flow now, instead of before it runs.
        triggers: Events that run it once it is registered; see ``loopline.flows.events``.

    Raises:
        FlowBuildError: There is no name.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the options Prefect 1 has
        self,
        name: str,
        schedule: Schedule | None = None,
        executor: Executor | None = None,
        run_config: object = None,
        storage: object = None,
        tasks: Iterable[Task] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[Task] | None = None,
        state_handlers: Iterable[StateHandler] | None = None,
        on_failure: Callable[[Any, State], object] | None = None,
        result: ResultType | None = None,
        *,
        validate: bool | None = None,
        triggers: Iterable[FlowTrigger] = (),
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            msg = f'A flow needs a name, not {name!r}: write Flow("taxi fares").'
            raise FlowBuildError(msg)
        super().__init__(name)
        self.schedule = schedule
        self.executor = executor
        self.state_handlers = with_on_failure(state_handlers, on_failure)
        self.result = result
        self.run_config = run_config
        self.storage = storage
        #: What runs it once it is registered, beside its schedule; see ``loopline.flows.events``.
        self.triggers = list(triggers)
        self._entered: list[_Entered] = []
        for task in tasks or ():
            self.add_task(task)
        for edge in edges or ():
            self.add_edge(*edge)
        if reference_tasks is not None:
            self.set_reference_tasks(reference_tasks)
        if validate:
            self.validate()

    def __enter__(self) -> Self:
        self._entered.append(_Entered(active_flow.set(self), created_tasks.set({})))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        created = created_tasks.get() or {}
        before = self._entered.pop()
        created_tasks.reset(before.created)
        active_flow.reset(before.flow)
        lost = [
            task for task in created if task not in self.slugs and not isinstance(task, Constant)
        ]
        if lost and kind is None:
            names = ", ".join(repr(task) for task in lost)
            warnings.warn(
                f"Made inside the flow {self.name!r} but never added to it: {names}. Call a task "
                "to add it, use it as an argument, or make it outside of the block.",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"<Flow: {self.name!r}, {order.count(len(self.slugs), 'task')}>"

    def __iter__(self) -> Iterator[Task]:
        return iter(self.sorted_tasks())

    def __eq__(self, other: object) -> bool:
        """Same name, tasks, edges and reference tasks: a copy is equal until one is changed."""
        if not isinstance(other, Flow) or type(self) is not type(other):
            return NotImplemented
        return (
            self.name == other.name
            and self.tasks == other.tasks
            and self.edges == other.edges
            and self.reference_tasks() == other.reference_tasks()
        )

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def validate(self) -> None:
        """Check that the flow can run.

        Raises:
            FlowBuildError: It has a cycle, a task lacks an argument, or its executor is none.
        """
        order.check_executor(self.executor)
        super().validate()

    # --- doing -----------------------------------------------------------------------------

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        run_on_schedule: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        executor: Executor | None = None,
        *,
        state: State | None = None,
        task_states: Mapping[Task, State] | None = None,
        context: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - parameters by name
    ) -> State:
        """Run the flow here and now, or with a schedule at its times; return the final state.

        Args:
            parameters: Values of the flow's parameters; they can be given by name as well.
            run_on_schedule: Whether to wait for the schedule, over and over, until it ends; by
                default when there is one.
            executor: Where the tasks run, instead of the flow's own executor.
            state: State of the flow to begin with; the task states in its result count as given.
                A finished one is returned as it is, a scheduled one's time is waited for.
            task_states: States of tasks to begin with: what they finished is not run again.
            context: What the run context has in it, too.
            **kwargs: Parameters by name.

        Returns:
            The state, whose ``result[task]`` is the state of each task.

        Raises:
            FlowBuildError: The flow cannot run, or this is still its ``with`` block.
            InvalidInputError: The parameters are not the flow's.
        """
        from loopline.flows.running.local_runs import run_here

        if self._entered:
            msg = (
                f"The flow {self.name!r} is still being built here. Call flow.run() after its "
                "`with` block, not in it."
            )
            raise FlowBuildError(msg)
        if state is not None and state.is_finished():
            return state
        known = state.result if state is not None and isinstance(state.result, dict) else {}
        return run_here(
            self,
            {**(parameters or {}), **kwargs},
            executor=executor,
            on_schedule=run_on_schedule,
            task_states={**known, **(task_states or {})},
            context=context,
            not_before=getattr(state, "start_time", None),
        )

    def visualize(
        self,
        flow_state: State | None = None,
        filename: str | Path | None = None,
        format: str | None = None,  # noqa: A002 - Prefect 1's name
        horizontal: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's
    ) -> Picture:
        """Draw the flow, coloured by the states of a run; see ``authoring.visualize``."""
        from loopline.flows.authoring.visualize import visualize

        return visualize(self, flow_state, filename, format, is_horizontal=horizontal)

    def register(
        self,
        project_name: str | None = None,
        build: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
        labels: Iterable[str] | None = None,
        set_schedule_active: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
        version_group_id: str | None = None,
        no_url: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        idempotency_key: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - options of later versions
    ) -> str:
        """Store the flow in a project, so that workers run it; return the version's id."""
        from loopline.flows.shipping.register import register_flow

        return register_flow(
            self,
            project_name,
            build=build,
            labels=labels,
            set_schedule_active=set_schedule_active,
            version_group_id=version_group_id,
            no_url=no_url,
            idempotency_key=idempotency_key,
            **kwargs,
        )

    # --- telling ---------------------------------------------------------------------------

    def serialize(self, build: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Prefect 1's signature
        """Describe the flow as data that JSON can hold: tasks, edges, parameters, options.

        Args:
            build: Taken for Prefect 1's sake; there is nothing to build apart.

        Raises:
            FlowBuildError: The flow cannot run.
        """
        from loopline.flows.authoring.description import describe_flow

        self.validate()
        return describe_flow(self)

    def serialized_hash(self, build: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - likewise
        """Hash that description: 64 hex digits, alike in every process; no code is in it.

        Raises:
            FlowBuildError: The flow cannot run.
        """
        from loopline.flows.authoring.description import hash_flow

        self.validate()
        return hash_flow(self)

    def diagnostics(self, include_secret_names: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - Prefect 1's signature
        """Tell what helps to find a fault, as JSON; of settings only the names, never a value."""
        from loopline.flows.authoring.description import diagnose

        return diagnose(self)

    def save(self, fpath: str | Path | None = None) -> str:
        """Write the flow to a file, by default in the home; return its path.

        Raises:
            FlowBuildError: Something the flow refers to cannot be pickled.
        """
        from loopline.flows.authoring.files import save_flow

        return save_flow(self, fpath)

    @classmethod
    def load(cls, fpath: str | Path) -> Flow:
        """Read a flow that ``save`` wrote, by the file's path or the flow's name.

        Reading runs code that is in the file: read only what you trust.

        Raises:
            NotFoundError: There is no such file.
            IntegrityError: It is no file of a flow, or damaged.
            FlowError: Another Python wrote it.
        """
        from loopline.flows.authoring.files import load_flow_file

        return load_flow_file(fpath)
