"""Building flows by calls: edges, dependencies, chains, and putting flows together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from loopline.errors import FlowBuildError
from loopline.flows.annotations import EdgeAnnotation
from loopline.flows.authoring import order
from loopline.flows.authoring.active import inside_map
from loopline.flows.authoring.constants import Constant
from loopline.flows.authoring.gathering import as_task
from loopline.flows.authoring.graph import Graph
from loopline.flows.authoring.inputs import Flat, replace, tasks_in
from loopline.flows.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.flows.task import Task

__all__ = ["Builder"]


class Builder(Graph):
    """The imperative half of a flow, under Prefect 1's names."""

    def add_edge(
        self,
        upstream_task: Any,  # noqa: ANN401 - a task, or what becomes one
        downstream_task: Any,  # noqa: ANN401 - likewise
        key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        flattened: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        validate: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
    ) -> Edge:
        """Let one task run before another and, with a key, give it its result.

        Args:
            upstream_task: Runs first; a constant or a structure with tasks becomes a task.
            downstream_task: Runs after it.
            key: Argument of the downstream task that takes the result.
            mapped: The downstream task runs once for each element.
            flattened: It takes the elements of the result's elements.
            validate: Check the whole flow now, instead of before it runs.

        Raises:
            FlowBuildError: The downstream task has no such argument, or is a parameter.
        """
        edge = Edge(upstream_task, downstream_task, key, mapped, flattened, flow=self)  # type: ignore[arg-type]
        self._refuse_map(mapped=edge.mapped)
        self._refuse_parameter(edge.downstream_task)
        if key is None:
            self.add_task(edge.upstream_task)
            self.add_task(edge.downstream_task)
            self._link(edge)
        else:
            order.check_argument(edge.downstream_task, key)
            value = _annotated(edge.upstream_task, flattened=edge.flattened)
            self.set_input(edge.downstream_task, key, value, mapped=edge.mapped)
        if validate:
            self.validate()
        return edge

    def set_dependencies(
        self,
        task: Any,  # noqa: ANN401 - a task, or what becomes one
        upstream_tasks: Iterable[object] | None = None,
        downstream_tasks: Iterable[object] | None = None,
        keyword_tasks: Mapping[str, object] | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        validate: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
    ) -> None:
        """Say what runs before and after a task, and what it takes.

        Args:
            task: The task.
            upstream_tasks: What runs before it and gives it nothing; lists are looked into.
            downstream_tasks: What runs after it; lists are looked into.
            keyword_tasks: What it takes, by the names of its arguments.
            mapped: Whether it runs once for each element of what is upstream; see ``unmapped``.
            validate: Check the whole flow now, instead of before it runs.

        Raises:
            FlowBuildError: The task has no such argument.
        """
        self._refuse_map(mapped=mapped)
        task = as_task(task, flow=self)  # type: ignore[arg-type]
        self.add_task(task)
        for each in upstream_tasks or ():
            self.add_upstream(task, each, mapped=mapped)
        for some in downstream_tasks or ():
            for below in tasks_in(some):
                self.add_upstream(below, task)
        for key, value in (keyword_tasks or {}).items():
            order.check_argument(task, key)
            self.set_input(task, key, value, mapped=mapped)
        if validate:
            self.validate()

    def chain(self, *tasks: Task, validate: bool | None = None) -> list[Edge]:
        """Let the tasks run one after the other."""
        edges = [self.add_edge(one, other) for one, other in pairwise(tasks)]
        if validate:
            self.validate()
        return edges

    def replace(self, old: Task, new: Any, validate: bool = True) -> None:  # noqa: FBT001, FBT002, ANN401 - Prefect 1's signature
        """Put another task in the place of one: what led to and from the old leads to the new.

        Args:
            old: A task of the flow.
            new: The other task, or a value that becomes one.
            validate: Check the whole flow afterwards.

        Raises:
            FlowBuildError: The old task is not in the flow; or the flow can no longer run.
        """
        inputs, above, below = dict(self.inputs(old)), list(self._above[old]), self._below[old]
        takers = [(each.downstream_task, each.key) for each in below if each.key is not None]
        new = as_task(new, flow=self)  # type: ignore[arg-type]
        self._take_out(old)  # First, so that a parameter may take over its name.
        if not isinstance(new, Constant):  # Which arguments that take it hold as it is.
            self.add_task(new)
        for key, given in inputs.items():
            if given.has_tasks or order.takes(new, key):
                value = _annotated(given.value)
                self.set_input(new, key, value, mapped=given.is_mapped)
        for edge in above:
            if edge.key is None:
                self._link(Edge(edge.upstream_task, new, None, edge.mapped, edge.flattened))
        for task, taken in dict.fromkeys(takers):
            given = self._inputs[task].pop(taken)
            value = replace(given.value, old, new)
            self.set_input(task, taken, _annotated(value), mapped=given.is_mapped)
        for edge in below:
            if edge.key is None:
                self._link(Edge(new, edge.downstream_task, None, edge.mapped, edge.flattened))
        if old in self._references:
            self._references = [new if each is old else each for each in self._references]
        if validate:
            self.validate()

    def _take_out(self, task: Task) -> None:
        """Forget a task with its edges; arguments that hold it must be given anew."""
        for edge in self._above[task]:
            del self._edges[edge]
            self._below[edge.upstream_task].remove(edge)
        for edge in self._below[task]:
            del self._edges[edge]
            self._above[edge.downstream_task].remove(edge)
        self._taken.discard(self.slugs.pop(task))
        del self._above[task], self._below[task], self._inputs[task]

    def update(
        self,
        flow: Graph,
        merge_parameters: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        validate: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        merge_reference_tasks: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> None:
        """Add all tasks and edges of another flow.

        Args:
            flow: The other flow; it stays as it is.
            merge_parameters: Its parameters take the places of those with the same names here.
            validate: Check the whole flow now, instead of before it runs.
            merge_reference_tasks: Its reference tasks decide, too, how a run ended.

        Raises:
            FlowBuildError: Both have a parameter, or a task's own slug, of the same name.
        """
        references = self.reference_tasks() | flow.reference_tasks()
        if merge_parameters:
            own = {parameter.name: parameter for parameter in self.parameters()}
            for parameter in flow.parameters():
                if parameter.name in own and own[parameter.name] is not parameter:
                    self.replace(own[parameter.name], parameter, validate=False)
        self._add_all(flow)
        if merge_reference_tasks:
            self.set_reference_tasks(task for task in self.slugs if task in references)
        if validate:
            self.validate()

    def _add_all(self, flow: Graph) -> None:
        for task in flow.slugs:
            self.add_task(task)
        for task in flow.slugs:
            for key, given in flow.inputs(task).items():
                self.set_input(task, key, _annotated(given.value), mapped=given.is_mapped)
        for edge in flow.edges:
            if edge.key is None:
                self._link(edge)

    def copy(self) -> Self:
        """Return a flow with the same tasks, which may be changed on its own."""
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        made.slugs, made._numbers = dict(self.slugs), dict(self._numbers)
        made._taken, made._edges = set(self._taken), dict(self._edges)
        made._inputs = {task: dict(given) for task, given in self._inputs.items()}
        made._above = {task: list(edges) for task, edges in self._above.items()}
        made._below = {task: list(edges) for task, edges in self._below.items()}
        made._references = list(self._references)
        return made

    @staticmethod
    def _refuse_map(*, mapped: bool) -> None:
        if mapped and inside_map.get():
            msg = (
                "A function given to apply_map is mapped as a whole, so nothing in it can be "
                "mapped again. Call its tasks without .map() and mapped=True."
            )
            raise FlowBuildError(msg)


def _annotated(value: Any, *, flattened: bool = False) -> Any:  # noqa: ANN401 - any input
    """Make of an input as it is kept one as it is given."""
    if isinstance(value, Flat):
        value, flattened = value.value, True
    if not flattened:
        return value
    made = EdgeAnnotation(value)
    made.annotations["flattened"] = True
    return made
