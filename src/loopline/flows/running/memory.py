"""Memory of a flow run: what each task came to, and the arguments that follow for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import FlowError
from loopline.flows.authoring.inputs import Flat, elements_of, fill, tasks_in
from loopline.flows.running.results import Result
from loopline.flows.states import Mapped, State, make_state
from loopline.flows.task import Task
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loopline.flows.edge import Edge
    from loopline.flows.flow import Flow
    from loopline.flows.running.results import KeptResults
    from loopline.records.flows import TaskRun
    from loopline.rules.machine import EnterState, Machine

__all__ = ["Memory", "NotMappableError"]


_NOTHING = Result()


class NotMappableError(FlowError):
    """A task is mapped over something that has no elements."""


class Memory:
    """States and results of one flow run.

    Args:
        flow: The flow.
        machine: Knows how wide mapped tasks are.
        initial: Finished task runs of earlier holders; their results are read when needed.
        kept: Reads them.
    """

    def __init__(
        self,
        flow: Flow,
        machine: Machine,
        initial: Iterable[TaskRun],
        kept: KeptResults,
    ) -> None:
        self._flow = flow
        self._machine = machine
        self._slugs = flow.slugs
        self._tasks = {slug: task for task, slug in flow.slugs.items()}
        self._inputs = {slug: flow.inputs(task) for task, slug in flow.slugs.items()}
        self._sequences: dict[tuple[str, str], Sequence[Any]] = {}
        self._results: dict[tuple[str, int], Result] = {}
        self._states: dict[tuple[str, int], State] = {}
        self._by_reference = False
        for run in initial:
            if run.state.is_finished and run.state is not StateKind.MAPPED:
                result = Result(FlowError(run.message)) if run.state.is_failed else Result()
                if run.result:
                    result = kept.get(run.result)
                where = (run.task_slug, run.map_index)
                self._results[where] = result
                self._states[where] = make_state(run.state, run.message, result)

    def remember(self, slug: str, map_index: int, result: Result) -> None:
        """Keep what an attempt came to."""
        self._results[slug, map_index] = result

    def remember_if_new(self, slug: str, map_index: int, value: object) -> None:
        """Keep a value unless something is known already."""
        self._results.setdefault((slug, map_index), Result(value))

    def result(self, slug: str, map_index: int) -> Result:
        """Return what the last attempt came to; of a task that did not run: None."""
        return self._results.get((slug, map_index)) or _NOTHING

    def enter(self, command: EnterState) -> State:
        """Note a change of state."""
        where = (command.slug, command.map_index)
        state = make_state(command.state, command.message, self._results.get(where))
        self._states[where] = state
        return state

    # --- what the next task gets -----------------------------------------------------------

    def arguments(
        self, slug: str, map_index: int = -1, *, by_reference: bool = False
    ) -> dict[str, Any]:
        """Make the arguments of a task or a child, by name.

        Args:
            slug: The task.
            map_index: The child.
            by_reference: Leave results on a cluster where they are, and name them.

        Raises:
            LooplineError: A result of an earlier holder cannot be read.
        """
        arguments = {}
        try:
            for key, given in self._inputs[slug].items():
                value = given.value
                self._by_reference = by_reference and _holds_tasks_as_they_are(value)
                if given.is_mapped and map_index >= 0:
                    value = self._element(slug, key, value, map_index)
                elif given.has_tasks:
                    value = fill(value, self._value)
                arguments[key] = value
        finally:
            self._by_reference = False
        return arguments

    def width(self, slug: str) -> int:
        """Count the children of a mapped task: its shortest mapped input decides.

        Raises:
            NotMappableError: An input has no elements.
        """
        widths = [
            width
            for upstream, is_mapped in self._machine.upstreams(slug)
            if is_mapped and (width := self._machine.width(upstream)) is not None
        ]
        for key, given in self._inputs[slug].items():
            if given.is_mapped and self._mapped_task(given.value) is None:
                value = fill(given.value, self._value) if given.has_tasks else given.value
                self._sequences[slug, key] = sequence = _as_sequence(value, key)
                widths.append(len(sequence))
        widths += self._widths_of_order(slug)
        if not widths:
            msg = f"Nothing that {slug} takes can be mapped over. Use the task without .map()."
            raise NotMappableError(msg)
        return min(widths)

    def sources(self, slug: str) -> dict[str, list[int]]:
        """Tell of which child of a mapped task each element is that is taken flattened."""
        found = {}
        for edge in self._flow.edges_to(self._tasks[slug]):
            upstream = self._slugs[edge.upstream_task]
            width = self._machine.width(upstream)
            if edge.mapped and edge.flattened and width is not None:
                counts = [len(elements_of(self._child_value(upstream, i))) for i in range(width)]
                found[upstream] = [i for i, number in enumerate(counts) for _ in range(number)]
        return found

    def _widths_of_order(self, slug: str) -> Iterator[int]:
        """Count the elements of what a mapped task only runs after, where it has elements."""
        for edge in self._flow.edges_to(self._tasks[slug]):
            if edge.mapped and edge.key is None:
                value: Any = Flat(edge.upstream_task) if edge.flattened else edge.upstream_task
                if self._mapped_task(value) is None:
                    value = fill(value, self._value)
                    if isinstance(value, list | tuple | range):
                        yield len(value)

    def _element(self, slug: str, key: str, value: object, map_index: int) -> Any:  # noqa: ANN401
        mapped = self._mapped_task(value)
        if mapped is not None:
            return self._child_value(mapped, map_index)
        return self._sequences[slug, key][map_index]

    def _mapped_task(self, value: object) -> str | None:
        """Return the slug of the mapped task that is an input, if it is one."""
        if isinstance(value, Task):
            slug = self._slugs[value]
            if self._machine.width(slug) is not None:
                return slug
        return None

    def _value(self, task: Task) -> Any:  # noqa: ANN401 - whatever it returned
        slug = self._slugs[task]
        width = self._machine.width(slug)
        if width is None:
            found = self._results.get((slug, -1))
            return None if found is None else self._handed(found)
        return [self._child_value(slug, index) for index in range(width)]

    def _child_value(self, slug: str, index: int) -> Any:  # noqa: ANN401 - whatever it returned
        found = self._results.get((slug, index))
        return None if found is None else self._handed(found)

    def _handed(self, result: Result) -> Any:  # noqa: ANN401 - whatever it returned
        """Give a value to a task, or name where it is."""
        return result if self._by_reference and result.is_remote else result.value

    # --- what users and their triggers see -------------------------------------------------

    def upstream_states(self, slug: str, map_index: int) -> dict[Edge, State]:
        """Return the states a task's own trigger looks at."""
        states = {}
        for edge in self._flow.edges_to(self._tasks[slug]):
            upstream = self._slugs[edge.upstream_task]
            own = (upstream, map_index)
            states[edge] = (
                self._states[own]
                if edge.mapped and not edge.flattened and own in self._states
                else self._whole(upstream)
            )
        return states

    def final(self) -> dict[Task, State]:
        """Return the state of each task."""
        return {task: self._whole(slug) for task, slug in self._slugs.items()}

    def _whole(self, slug: str) -> State:
        state = self._states.get((slug, -1))
        if state is None:
            return make_state(StateKind.PENDING)
        if isinstance(state, Mapped):
            for index in range(len(state.map_states), self._machine.width(slug) or 0):
                pending = make_state(StateKind.PENDING)
                state.map_states.append(self._states.get((slug, index), pending))
        return state


def _holds_tasks_as_they_are(value: object) -> bool:
    """Tell whether results go into an input whole: what is flattened, or hashed, is looked into."""
    if type(value) in {list, tuple}:
        return all(map(_holds_tasks_as_they_are, value))  # type: ignore[call-overload]
    if type(value) is dict:
        return not any(tasks_in(key) for key in value) and all(
            map(_holds_tasks_as_they_are, value.values())
        )
    return isinstance(value, Task)


def _as_sequence(value: Any, key: str) -> Sequence[Any]:  # noqa: ANN401 - any result
    if isinstance(value, list | tuple | range):
        return value
    try:
        if isinstance(value, set | frozenset):
            # Another process, which may go on with this run, has its sets in another order.
            return sorted(value, key=repr)
        return list(value)
    except TypeError:
        msg = (
            f"The input {key!r} is of type {type(value).__name__}, which has no elements to map "
            "over. Give it a list, or wrap it in unmapped(...)."
        )
        raise NotMappableError(msg) from None
