"""Order and soundness of flows: sorting, cycles by name, missing arguments, the graph as data."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from loopline.errors import FlowBuildError
from loopline.flows.executors.base import Executor
from loopline.flows.parameter import Parameter
from loopline.flows.triggers import trigger_name
from loopline.records.flows import FlowGraph, GraphEdge, GraphTask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.authoring.graph import Graph
    from loopline.flows.task import Task

__all__ = [
    "check_argument",
    "check_executor",
    "check_flow",
    "count",
    "make_graph",
    "sort_tasks",
    "takes",
]


def count(number: int, noun: str) -> str:
    """Write a number of things: ``"1 task"``, ``"2 tasks"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sort_tasks(flow: Graph, roots: Iterable[Task] | None = None) -> list[Task]:
    """Sort a flow's tasks, or some and all that run after them, each after the ones it needs.

    Raises:
        FlowBuildError: There is a cycle; the message names its tasks.
    """
    waiting = {task: len(flow.upstream_tasks(task)) for task in flow.slugs}
    if roots is not None:
        among = _reached(flow, roots)
        waiting = {
            task: len(flow.upstream_tasks(task) & among) for task in waiting if task in among
        }
    found = [task for task, number in waiting.items() if number == 0]
    for task in found:  # Grows while it is read.
        below = flow.downstream_tasks(task)
        for each in sorted(below, key=flow.slugs.__getitem__) if len(below) > 1 else below:
            waiting[each] -= 1
            if waiting[each] == 0:
                found.append(each)
    if len(found) < len(waiting):
        circle = _find_circle(flow, [task for task in waiting if waiting[task] > 0])
        path = " → ".join(flow.slugs[task] for task in circle)
        msg = (
            f"The flow {flow.name!r} goes round in a circle: {path}. Take one of these "
            "dependencies away."
        )
        raise FlowBuildError(msg)
    return found


def _reached(flow: Graph, roots: Iterable[Task]) -> set[Task]:
    """Find some tasks and all that run after them."""
    found = list(dict.fromkeys(roots))
    reached = set(found)
    for task in found:  # Grows while it is read.
        fresh = flow.downstream_tasks(task) - reached
        reached |= fresh
        found.extend(fresh)
    return reached


def _find_circle(flow: Graph, stuck: list[Task]) -> list[Task]:
    """Walk upstream among tasks that never get their turn until one comes again."""
    among = set(stuck)
    path: dict[Task, None] = {}
    task = stuck[0]
    while task not in path:
        path[task] = None
        task = next(each for each in flow.upstream_tasks(task) if each in among)
    walked = list(path)
    return [task, *reversed(walked[walked.index(task) :])]


def check_argument(task: Task, key: str) -> None:
    """Refuse a name that ``run`` does not take.

    Raises:
        FlowBuildError: It is none of its arguments.
    """
    if not takes(task, key):
        parameters = task.signature().parameters
        near = get_close_matches(key, parameters, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"Task {task.name!r} has no argument {key!r}.{meant} It takes {task.signature()}."
        raise FlowBuildError(msg)


def takes(task: Task, key: str) -> bool:
    """Tell whether ``run`` has an argument of this name."""
    parameters = task.signature().parameters
    return key in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def check_flow(flow: Graph) -> None:
    """Check that a flow can run.

    Raises:
        FlowBuildError: It has a cycle, or a task lacks an argument.
    """
    sort_tasks(flow)
    for task, slug in flow.slugs.items():
        given = flow.inputs(task)
        missing = [
            each.name
            for each in task.signature().parameters.values()
            if each.default is each.empty
            and each.kind is not each.VAR_KEYWORD
            and each.name not in given
        ]
        if missing:
            names = ", ".join(missing)
            msg = (
                f"Task {slug!r} needs {names}, which nothing gives it. Pass it when calling the "
                f"task, or use set_upstream(..., key={missing[0]!r})."
            )
            raise FlowBuildError(msg)


def check_executor(executor: object) -> None:
    """Check that tasks can run there.

    Raises:
        FlowBuildError: It is a class or a name instead of an executor.
    """
    if executor is not None and not isinstance(executor, Executor):
        shown = executor.__name__ if isinstance(executor, type) else repr(executor)
        msg = (
            f"{shown} is no executor. Give one with its parentheses, such as "
            'LocalDaskExecutor(), or LocalDaskExecutor("processes") from loopline.executors.'
        )
        raise FlowBuildError(msg)


def make_graph(flow: Graph, references: Iterable[Task]) -> FlowGraph:
    """Describe a flow as data."""
    slugs = flow.slugs
    tasks = [
        GraphTask(
            slug=slug,
            name=task.name,
            kind="parameter" if isinstance(task, Parameter) else "task",
            is_mapped=any(given.is_mapped for given in flow.inputs(task).values())
            or any(edge.mapped for edge in flow.edges_to(task)),
            trigger=trigger_name(task.trigger),
            retry_delays_s=task.retry_delays_s,
            timeout_s=None if task.timeout is None else task.timeout.total_seconds(),
            tags=sorted(task.tags),
            skip_on_upstream_skip=task.skip_on_upstream_skip,
            has_handlers=bool(task.state_handlers),
        )
        for task, slug in slugs.items()
    ]
    edges = [
        GraphEdge(
            upstream=slugs[edge.upstream_task],
            downstream=slugs[edge.downstream_task],
            key=edge.key or "",
            is_mapped=edge.mapped and not edge.flattened,
            is_flattened=edge.mapped and edge.flattened,
        )
        for edge in flow.edges
    ]
    parameters = [task.spec() for task in flow.tasks if isinstance(task, Parameter)]
    return FlowGraph(
        tasks=tasks,
        edges=edges,
        parameters=parameters,
        reference_tasks=[slugs[task] for task in references],
    )
