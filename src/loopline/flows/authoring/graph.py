"""The graph of a flow: its tasks, their inputs and edges, and what one may ask about them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.authoring import order
from loopline.flows.authoring.active import active_blocks, created_tasks
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.inputs import Flat, Input, flatten_result, tasks_in
from loopline.flows.edge import Edge
from loopline.flows.parameter import Parameter
from loopline.flows.task import FunctionTask, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from loopline.records.flows import FlowGraph

__all__ = ["Graph"]

V = TypeVar("V")


class Graph:
    """Tasks and what leads from one to the other; the part of a flow that knows no run.

    Attributes:
        name: Its name, to say in errors which flow it is.
        slugs: The slug of each task: its own, or its name and a number counted from 1, such as
            ``"train-1"``.
    """

    #: Whether a constant that was made a task stays one; see ``apply_map``.
    keeps_constants = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.slugs: dict[Task, str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._inputs: dict[Task, dict[str, Input]] = {}
        self._edges: dict[Edge, None] = {}
        self._above: dict[Task, list[Edge]] = {}
        self._below: dict[Task, list[Edge]] = {}
        self._references: list[Task] = []

    # --- changing it -----------------------------------------------------------------------

    def add_task(self, task: Task) -> Task:
        """Add a task; adding it again changes nothing.

        Raises:
            FlowBuildError: Another task has its slug, or another parameter its name.
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
            created = created_tasks.get()
            if created is not None:
                created.pop(task, None)
            if type(task) is not FunctionTask:
                _warn_of_tasks_in(task)
            if not isinstance(task, Parameter | Constant):
                for block in active_blocks.get().values():
                    block.add_task(task, self)
        return task

    def _slug(self, task: Task) -> str:
        if task.slug is not None:
            if task.slug in self._taken:
                what = "parameter or task" if isinstance(task, Parameter) else "task with the slug"
                msg = (
                    f"The flow {self.name!r} has a {what} {task.slug!r} already. Use that object "
                    'again, or choose another name: task_args={"slug": ...} gives a call its own.'
                )
                raise FlowBuildError(msg)
            return task.slug
        number = self._numbers.get(task.name, 0) + 1
        while f"{task.name}-{number}" in self._taken:
            number += 1
        self._numbers[task.name] = number
        return f"{task.name}-{number}"

    def set_input(self, task: Task, key: str, value: object, *, mapped: bool = False) -> None:
        """Give an argument of a task: a constant, a task, or a structure with tasks in it.

        A task in it runs before. What the argument was before is forgotten.
        """
        self.add_task(task)
        self._refuse_parameter(task)
        is_flat = False
        if isinstance(value, EdgeAnnotation):
            mapped, is_flat = value.is_mapped(otherwise=mapped), value.is_flattened
            value = value.value
        if type(value) is Constant and not (mapped or is_flat or self.keeps_constants):
            value = value.value
        if key in self._inputs[task]:
            for edge in [edge for edge in self._above[task] if edge.key == key]:
                self._forget(edge)
        found = list(dict.fromkeys(tasks_in(value)))
        if is_flat:
            value = Flat(value) if found else flatten_result(value)
        self._inputs[task][key] = Input(value, mapped, bool(found))
        for each in found:
            # Elements are taken from the whole of a structure, once all of it is there.
            is_whole = each is value or (isinstance(value, Flat) and each is value.value)
            self._link(Edge(each, task, key, mapped and is_whole, is_flat and is_whole))

    def add_upstream(self, task: Task, upstream: object, *, mapped: bool = False) -> None:
        """Let everything in ``upstream`` (a task, or tasks in a list) run before ``task``."""
        self.add_task(task)
        self._refuse_parameter(task)
        is_flat = False
        if isinstance(upstream, EdgeAnnotation):
            mapped, is_flat = upstream.is_mapped(otherwise=mapped), upstream.is_flattened
            upstream = upstream.value
        for each in tasks_in(upstream):
            self._link(Edge(each, task, None, mapped, is_flat))

    def _refuse_parameter(self, task: Task) -> None:
        if isinstance(task, Parameter):
            msg = (
                f"{task!r} cannot run after another task: parameters are given before the flow "
                "runs. Take the value in a task of its own instead."
            )
            raise FlowBuildError(msg)

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

    # --- asking ----------------------------------------------------------------------------

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
        return self._of(task, self._inputs)

    def has_edges(self, task: Any) -> bool:  # noqa: ANN401 - see below
        """Tell whether something leads to or from a task, which may be of another flow."""
        return task in self.slugs and bool(self._above[task] or self._below[task])

    def edges_to(self, task: Task) -> set[Edge]:
        """Return the edges that end at a task.

        Raises:
            FlowBuildError: The task is not in the flow.
        """
        return set(self._of(task, self._above))

    def edges_from(self, task: Task) -> set[Edge]:
        """Return the edges that begin at a task.

        Raises:
            FlowBuildError: The task is not in the flow.
        """
        return set(self._of(task, self._below))

    def upstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks that run directly before one."""
        return {edge.upstream_task for edge in self._of(task, self._above)}

    def downstream_tasks(self, task: Task) -> set[Task]:
        """Return the tasks that run directly after one."""
        return {edge.downstream_task for edge in self._of(task, self._below)}

    def all_upstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges that end at each task."""
        return {task: set(edges) for task, edges in self._above.items()}

    def all_downstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges that begin at each task."""
        return {task: set(edges) for task, edges in self._below.items()}

    def root_tasks(self) -> set[Task]:
        """Return the tasks that nothing runs before."""
        return {task for task, edges in self._above.items() if not edges}

    def terminal_tasks(self) -> set[Task]:
        """Return the tasks that nothing runs after."""
        return {task for task, edges in self._below.items() if not edges}

    def parameters(self) -> set[Parameter]:
        """Return the parameters."""
        return {task for task in self.slugs if isinstance(task, Parameter)}

    def reference_tasks(self) -> set[Task]:
        """Return the tasks that decide how a run ended: those chosen, else the last ones.

        A resource that is cleaned up after the last ones does not count.
        """
        return set(self._references) or set(self._last_tasks())

    def _last_tasks(self) -> Iterator[Task]:
        for task in self.slugs:
            if task.may_decide and all(
                edge.downstream_task.is_cleanup for edge in self._below[task]
            ):
                yield task

    def set_reference_tasks(self, tasks: Iterable[Task]) -> None:
        """Choose the tasks that decide how a run ended; with none, the last ones do.

        Raises:
            FlowBuildError: One of them is not in the flow.
        """
        chosen = list(dict.fromkeys(tasks))
        for task in chosen:
            self._of(task, self.slugs)
        self._references = chosen

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

    def sorted_tasks(self, root_tasks: Iterable[Task] | None = None) -> Sequence[Task]:
        """Return the tasks in an order in which they can run.

        Args:
            root_tasks: Only these and what runs after them; by default all tasks.

        Raises:
            FlowBuildError: They go round in a circle, which the message names; or a root is not
                in the flow.
        """
        return order.sort_tasks(self, root_tasks)

    def validate(self) -> None:
        """Check that the flow can run.

        Raises:
            FlowBuildError: It has a cycle, or a task lacks an argument.
        """
        order.check_flow(self)

    def graph(self) -> FlowGraph:
        """Return the flow as data: what the machine follows and pictures show."""
        references = self._references
        if not references and not all(task.may_decide for task in self.slugs):
            references = list(self._last_tasks())
        return order.make_graph(self, references)

    def _of(self, task: Task, values: Mapping[Task, V]) -> V:
        try:
            return values[task]
        except KeyError:
            msg = f"{task!r} is not in the flow {self.name!r}. Call it inside the flow first."
            raise FlowBuildError(msg) from None


def _warn_of_tasks_in(task: Task) -> None:
    """Warn of a task given to another one when that was made: nobody puts its result there."""
    for name, value in vars(task).items():
        if isinstance(value, Task):
            kind = type(task).__name__
            warnings.warn(
                f"{task!r} holds {value!r} as its attribute {name!r}, and its result will not be "
                f"there. Give it when calling: {kind}(...)({value.name}), as an argument of run.",
                stacklevel=4,
            )
