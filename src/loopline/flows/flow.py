"""Flows: tasks and the order they run in, built before anything runs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from loopline.errors import FlowBuildError
from loopline.flows import order
from loopline.flows.active import active_flow
from loopline.flows.edge import Edge
from loopline.flows.inputs import Input, tasks_in
from loopline.flows.parameter import Parameter
from loopline.flows.task import Task, Unmapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextvars import Token
    from pathlib import Path

    from loopline.flows.executors.base import Executor
    from loopline.flows.schedules import Schedule
    from loopline.flows.states import State
    from loopline.flows.visualize import Picture
    from loopline.records.flows import FlowGraph

__all__ = ["Flow"]


class Flow:
    """A graph of tasks, built inside its ``with`` block or by ``add_edge`` and its like.

    Args:
        name: Its name, unique in a project.
        schedule: When it runs by itself.
        executor: Where its tasks run; in this thread, one after the other, by default.
        tasks: Tasks to begin with.
        edges: Edges to begin with.
        reference_tasks: The tasks that decide how a run ended; by default the last ones.

    Raises:
        FlowBuildError: There is no name.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule | None = None,
        executor: Executor | None = None,
        *,
        tasks: Iterable[Task] = (),
        edges: Iterable[Edge] = (),
        reference_tasks: Iterable[Task] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            msg = f'A flow needs a name, not {name!r}: write Flow("taxi fares").'
            raise FlowBuildError(msg)
        self.name = name
        self.schedule = schedule
        self.executor = executor
        #: The slug of each task: its name and a number counted from 1, such as ``"train-1"``.
        self.slugs: dict[Task, str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._inputs: dict[Task, dict[str, Input]] = {}
        self._edges: dict[Edge, None] = {}
        self._above: dict[Task, list[Edge]] = {}
        self._below: dict[Task, list[Edge]] = {}
        self._references: list[Task] = []
        self._entered: list[Token[Flow | None]] = []
        for task in tasks:
            self.add_task(task)
        for edge in edges:
            self.add_edge(*edge)
        if reference_tasks is not None:
            self.set_reference_tasks(reference_tasks)

    def __enter__(self) -> Self:
        self._entered.append(active_flow.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        active_flow.reset(self._entered.pop())

    def __repr__(self) -> str:
        return f"<Flow: {self.name!r}, {order.count(len(self.slugs), 'task')}>"

    # --- building --------------------------------------------------------------------------

    def add_task(self, task: Task) -> Task:
        """Add a task; adding it again changes nothing.

        Raises:
            FlowBuildError: It is a parameter, and another one has its name.
        """
        if not isinstance(task, Task):
            msg = f"{task!r} is no task. Decorate the function with @task and call it."
            raise FlowBuildError(msg)
        if task not in self.slugs:
            self.slugs[task] = slug = self._slug(task)
            self._taken.add(slug)
            self._above[task] = []
            self._below[task] = []
            self._inputs[task] = {}
        return task

    def _slug(self, task: Task) -> str:
        base = task.slug or task.name
        if isinstance(task, Parameter):
            if base in self._taken:
                msg = (
                    f"The flow {self.name!r} has a parameter or task {base!r} already. Use that "
                    "Parameter object again, or choose another name."
                )
                raise FlowBuildError(msg)
            return base
        number = self._numbers.get(base, 0) + 1
        while f"{base}-{number}" in self._taken:
            number += 1
        self._numbers[base] = number
        return f"{base}-{number}"

    def set_input(self, task: Task, key: str, value: object, *, mapped: bool = False) -> None:
        """Give an argument of a task: a constant, a task, or a structure with tasks in it.

        A task in it runs before. What the argument was before is forgotten.
        """
        self.add_task(task)
        if isinstance(value, Unmapped):
            value, mapped = value.value, False
        for edge in [edge for edge in self._above[task] if edge.key == key]:
            self._forget(edge)
        found = list(dict.fromkeys(tasks_in(value)))
        self._inputs[task][key] = Input(value, mapped, bool(found))
        for each in found:
            # Elements are taken from the whole of a structure, once all of it is there.
            self._link(Edge(each, task, key, mapped and each is value))

    def add_upstream(self, task: Task, upstream: object, *, mapped: bool = False) -> None:
        """Let everything in ``upstream`` (a task, or tasks in a list) run before ``task``."""
        self.add_task(task)
        value = upstream.value if isinstance(upstream, Unmapped) else upstream
        for each in tasks_in(value):
            self._link(Edge(each, task, None, mapped and not isinstance(upstream, Unmapped)))

    def add_edge(
        self, upstream_task: Task, downstream_task: Task, key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Edge:  # fmt: skip
        """Let one task run before another and, with a key, give it its result.

        Raises:
            FlowBuildError: The downstream task has no such argument.
        """
        self.add_task(upstream_task)
        self.add_task(downstream_task)
        edge = Edge(upstream_task, downstream_task, key, mapped)
        if key is None:
            self._link(edge)
        else:
            order.check_argument(downstream_task, key)
            self.set_input(downstream_task, key, upstream_task, mapped=mapped)
        return edge

    def set_dependencies(
        self,
        task: Task,
        upstream_tasks: Iterable[object] | None = None,
        downstream_tasks: Iterable[Task] | None = None,
        keyword_tasks: Mapping[str, object] | None = None,
        *,
        mapped: bool = False,
    ) -> None:
        """Say what runs before and after a task, and what it takes.

        Raises:
            FlowBuildError: The task has no such argument.
        """
        self.add_task(task)
        for each in upstream_tasks or ():
            self.add_upstream(task, each, mapped=mapped)
        for below in downstream_tasks or ():
            self.add_upstream(below, task, mapped=mapped)
        for key, value in (keyword_tasks or {}).items():
            order.check_argument(task, key)
            self.set_input(task, key, value, mapped=mapped)

    def chain(self, *tasks: Task) -> list[Edge]:
        """Let the tasks run one after the other."""
        return [self.add_edge(one, other) for one, other in pairwise(tasks)]

    def set_reference_tasks(self, tasks: Iterable[Task]) -> None:
        """Choose the tasks that decide how a run ended; with none, the last ones do.

        Raises:
            FlowBuildError: One of them is not in the flow.
        """
        chosen = list(tasks)
        for task in chosen:
            if task not in self.slugs:
                msg = f"{task!r} is not in the flow {self.name!r}. Call it inside the flow first."
                raise FlowBuildError(msg)
        self._references = chosen

    def _link(self, edge: Edge) -> None:
        self.add_task(edge.upstream_task)
        if edge not in self._edges:
            self._edges[edge] = None
            self._above[edge.downstream_task].append(edge)
            self._below[edge.upstream_task].append(edge)

    def _forget(self, edge: Edge) -> None:
        del self._edges[edge]
        self._above[edge.downstream_task].remove(edge)
        self._below[edge.upstream_task].remove(edge)

    # --- looking ---------------------------------------------------------------------------

    @property
    def tasks(self) -> AbstractSet[Task]:
        """The tasks, in the order they were added."""
        return self.slugs.keys()

    @property
    def edges(self) -> AbstractSet[Edge]:
        """The edges, in the order they were added."""
        return self._edges.keys()

    @property
    def constants(self) -> dict[Task, dict[str, Any]]:
        """The arguments that are plain data, by task and name."""
        found = {
            task: {key: given.value for key, given in inputs.items() if not given.has_tasks}
            for task, inputs in self._inputs.items()
        }
        return {task: values for task, values in found.items() if values}

    def inputs(self, task: Task) -> Mapping[str, Input]:
        """Return the arguments of a task."""
        return self._inputs[task]

    def edges_to(self, task: Task) -> set[Edge]:
        """Return the edges from the tasks before ``task``."""
        return set(self._above[task])

    def edges_from(self, task: Task) -> set[Edge]:
        """Return the edges to the tasks after ``task``."""
        return set(self._below[task])

    def upstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks right before ``task``."""
        return {edge.upstream_task for edge in self._above[task]}

    def downstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks right after ``task``."""
        return {edge.downstream_task for edge in self._below[task]}

    def root_tasks(self) -> set[Task]:
        """Return the tasks that nothing runs before."""
        return {task for task, edges in self._above.items() if not edges}

    def terminal_tasks(self) -> set[Task]:
        """Return the tasks that nothing runs after."""
        return {task for task, edges in self._below.items() if not edges}

    def reference_tasks(self) -> set[Task]:
        """Return the tasks that decide how a run ended."""
        return set(self._references) or self.terminal_tasks()

    def parameters(self) -> set[Parameter]:
        """Return the flow's parameters."""
        return {task for task in self.slugs if isinstance(task, Parameter)}

    def get_tasks(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        task_type: type[Task] | None = None,
    ) -> list[Task]:
        """Return the tasks for which all of this is true, in the order they were added."""
        wanted = set(tags or ())
        return [
            task
            for task, own in self.slugs.items()
            if (name is None or task.name == name)
            and (slug is None or own == slug)
            and wanted <= task.tags
            and (task_type is None or isinstance(task, task_type))
        ]

    def sorted_tasks(self) -> Sequence[Task]:
        """Return the tasks in an order in which they can run.

        Raises:
            FlowBuildError: They go round in a circle; the message names it.
        """
        return order.sort_tasks(self)

    def validate(self) -> None:
        """Check that the flow can run.

        Raises:
            FlowBuildError: It has a cycle, or a task lacks an argument.
        """
        order.check_flow(self)

    def graph(self) -> FlowGraph:
        """Return the flow as data: what the machine follows and pictures show."""
        return order.make_graph(self, self._references)

    # --- doing -----------------------------------------------------------------------------

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        run_on_schedule: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        executor: Executor | None = None,
        **kwargs: Any,  # noqa: ANN401 - parameters by name
    ) -> State:
        """Run the flow here and now, or with a schedule at its times; return the final state.

        Args:
            parameters: Values of the flow's parameters; they can be given by name as well.
            run_on_schedule: Whether to wait for the schedule, over and over, until it ends; by
                default when there is one.
            **kwargs: Parameters by name.
            executor: Where the tasks run, instead of the flow's own executor.

        Returns:
            The state, whose ``result[task]`` is the state of each task.

        Raises:
            FlowBuildError: The flow cannot run.
            InvalidInputError: The parameters are not the flow's.
        """
        from loopline.flows.local_runs import run_here

        return run_here(
            self, {**(parameters or {}), **kwargs}, executor=executor, on_schedule=run_on_schedule
        )

    def visualize(
        self,
        flow_state: State | None = None,
        filename: str | Path | None = None,
        format: str | None = None,  # noqa: A002 - Prefect 1's name
    ) -> Picture:
        """Draw the flow, coloured by the states of a run; see ``loopline.flows.visualize``."""
        from loopline.flows.visualize import visualize

        return visualize(self, flow_state, filename, format)

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
        from loopline.flows.register import register_flow

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
