"""The flow machine: what happened to a task goes in, what to do next comes out.

It has no clock, disk or thread. The engine carries out each command and reports each outcome;
whatever order outcomes come in, a task starts only after the tasks before it are finished, and
ends in exactly one finished state.

Every task counts the upstreams it still waits for, and how those that ended did so. An event
therefore costs as much as the edges it touches, however large the graph is.

A mapped task is a parent (``map_index`` -1) that becomes Mapped once its width is known, and
children counted from 0. A child waits only for the children of the same index of the mapped
tasks before it, so one row may be through the whole flow before another has begun.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from loopline.errors import FlowBuildError
from loopline.records.flows import StateKind
from loopline.rules.flow_events import (
    AskHandlers,
    AskTrigger,
    AwaitResume,
    CancelRun,
    Command,
    EnterState,
    Event,
    Expanded,
    ExpandTask,
    FinishRun,
    ResumeTask,
    StartTask,
    TaskEnded,
    TriggerAnswered,
)
from loopline.rules.flow_nodes import SUCCESSFUL, Node
from loopline.rules.triggers import MANUAL, TRIGGERS, is_hopeless, why_not

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loopline.records.flows import FlowGraph, TaskRun

__all__ = [
    "AskHandlers",
    "AskTrigger",
    "AwaitResume",
    "CancelRun",
    "Command",
    "EnterState",
    "Event",
    "ExpandTask",
    "Expanded",
    "FinishRun",
    "Machine",
    "ResumeTask",
    "StartTask",
    "TaskEnded",
    "TriggerAnswered",
]

#: How often a task may be running when its worker dies, beyond its own retries, before it is
#: given up: a task that kills every worker it gets must not go round for ever.
LOST_ATTEMPTS = 3


_FINISHED = frozenset(kind for kind in StateKind if kind.is_finished)
_FAILED = _FINISHED - SUCCESSFUL
_MAPPABLE = SUCCESSFUL - {StateKind.SKIPPED}
_RETRIED = frozenset({StateKind.FAILED, StateKind.TIMED_OUT})
#: What a task does itself, where others fail because of it.
_CAUSES = _RETRIED | {StateKind.VALIDATION_FAILED}
#: An attempt that ends in one of these is followed by another.
_GOES_ON = frozenset({StateKind.RETRYING, StateKind.LOOPED, StateKind.PAUSED})


class Machine:
    """One flow run: its graph and where each task stands.

    Args:
        graph: The tasks and their dependencies, without cycles.
        initial: Task runs of an earlier holder of this flow run. Finished tasks stay finished; a
            task that was running when its worker died starts again as its next attempt.
        waits_s: Seconds that task runs of ``initial`` still wait before they go on by themselves,
            by slug and index: what tries again later, and what was paused until a time.

    Raises:
        FlowBuildError: An edge names an unknown task.
    """

    def __init__(
        self,
        graph: FlowGraph,
        initial: Iterable[TaskRun] = (),
        waits_s: Mapping[tuple[str, int], float] | None = None,
    ) -> None:
        self._nodes = {task.slug: Node(task) for task in graph.tasks}
        self._open = len(self._nodes)
        self._busy = 0
        self._paused: dict[Node, None] = {}
        self._fresh: deque[Node] = deque()
        self._earlier = {(run.task_slug, run.map_index): run for run in initial}
        self._waits_s = dict(waits_s or {})
        self._references = list(graph.reference_tasks)
        self._is_over = False
        self._cancelled: str | None = None
        #: Of a mapped task: the tasks whose elements' elements it takes.
        self._flat: dict[str, list[Node]] = {}
        for (above, below), (is_mapped, is_flat) in _links(graph).items():
            try:
                upstream, downstream = self._nodes[above], self._nodes[below]
            except KeyError as error:
                msg = (
                    f"The edge {above!r} → {below!r} names {error}, which is no task of the "
                    "flow. Add that task to the flow."
                )
                raise FlowBuildError(msg) from None
            upstream.below.append((downstream, is_mapped))
            downstream.above.append((upstream, is_mapped))
            if is_flat:
                self._flat.setdefault(below, []).append(upstream)
            downstream.waiting += 1

    def begin(self) -> list[Command]:
        """Start: apply what earlier holders finished, and start what can start."""
        commands: list[Command] = []
        roots = [node for node in self._nodes.values() if node.waiting == 0]
        for node in self._nodes.values():
            self._recall(node, commands)
        for node in roots:
            self._ready(node, commands)
        return self._settle(commands)

    def advance(self, event: Event) -> list[Command]:
        """Apply one event; return what to do next, in order.

        An outcome of a task that has finished already (its timeout was faster) changes nothing.
        """
        commands: list[Command] = []
        if isinstance(event, CancelRun):
            self._cancel(event.reason, commands)
            return self._settle(commands)
        node = self._find(event.slug, event.map_index)
        if node.state in _FINISHED:
            return commands
        if isinstance(event, ResumeTask):
            self._resume(node, commands)
            return self._settle(commands)
        if node.is_busy:
            node.is_busy = False
            self._busy -= 1
        match event:
            case TaskEnded():
                self._end(node, event, commands)
            case Expanded(width=width, sources=sources):
                self._expand(node, width, sources, commands)
            case TriggerAnswered(state=StateKind.PAUSED, message=message):
                self._pause(node, message, commands)
            case TriggerAnswered(state=state, message=message) if state is not None:
                self._decide(node, state, message, commands)
            case TriggerAnswered():
                self._start(node, commands)
        return self._settle(commands)

    def state(self, slug: str, map_index: int = -1) -> StateKind:
        """Tell where a task or a child stands."""
        return self._find(slug, map_index).state

    def attempt(self, slug: str, map_index: int = -1) -> int:
        """Tell how often a task or a child was started."""
        return self._find(slug, map_index).attempt

    def width(self, slug: str) -> int | None:
        """Tell how many children a mapped task has; None before it is expanded."""
        children = self._nodes[slug].children
        return None if children is None else len(children)

    def upstreams(self, slug: str) -> list[tuple[str, bool]]:
        """List the tasks before a task, and whether the edge is mapped."""
        return [(node.task.slug, is_mapped) for node, is_mapped in self._nodes[slug].above]

    def states(self) -> Iterator[tuple[str, int, StateKind]]:
        """List every task and child with its state, in the graph's order."""
        for node in self._every():
            yield node.task.slug, node.index, node.state

    # --- one node --------------------------------------------------------------------------

    def _find(self, slug: str, map_index: int) -> Node:
        node = self._nodes[slug]
        return node if map_index < 0 else (node.children or [])[map_index]

    def _recall(self, node: Node, commands: list[Command]) -> None:
        """Put a node where an earlier holder left it; a mapped parent is expanded anew."""
        run = self._earlier.get((node.task.slug, node.index))
        if run is None or (node.index < 0 and run.state is StateKind.MAPPED):
            return
        node.attempt = run.attempt
        node.is_resumed = run.state is StateKind.RESUME
        if run.state in {StateKind.PAUSED, StateKind.RETRYING}:
            node.state = run.state
        elif run.state in _FINISHED:
            node.state = run.state
            self._fresh.append(node)
        elif run.state is StateKind.RUNNING and (
            run.attempt >= len(node.task.retry_delays_s) + LOST_ATTEMPTS
        ):
            message = f"Its worker died in each of {run.attempt} attempts; it is given up."
            self._finish(node, StateKind.FAILED, message, commands)

    def _ready(self, node: Node, commands: list[Command]) -> None:
        """Decide about a node whose upstreams have all ended."""
        if node.state in _FINISHED:
            return
        task = node.task
        wait_s = self._waits_s.pop((task.slug, node.index), None)
        if node.state is StateKind.PAUSED and wait_s is None:
            self._paused[node] = None  # An earlier holder has recorded that.
            return
        if wait_s is not None:  # It had been let run when it was made to wait.
            node.is_resumed = node.state is StateKind.PAUSED
            self._start(node, commands, wait_s)
            return
        if node.skipped and task.skip_on_upstream_skip:
            message = "A task before it was skipped."
            self._decide(node, StateKind.SKIPPED, message, commands)
        elif task.is_mapped and node.index < 0:
            self._map(node, commands)
        elif task.trigger == MANUAL and not node.is_resumed:
            self._pause(node, "It waits for somebody to resume it.", commands)
        elif task.trigger not in TRIGGERS and task.trigger != MANUAL:
            commands.append(AskTrigger(task.slug, node.index, node.is_resumed))
            self._await(node)
        elif not node.above or self._lets_run(node):
            self._start(node, commands)
        else:
            message = why_not(task.trigger, node.good, node.bad)
            self._decide(node, StateKind.TRIGGER_FAILED, message, commands)

    @staticmethod
    def _lets_run(node: Node) -> bool:
        trigger = node.task.trigger
        return trigger == MANUAL or TRIGGERS[trigger](node.good, node.bad)

    def _map(self, node: Node, commands: list[Command]) -> None:
        """Have a mapped task expanded, unless none of its children could run."""
        if node.barren and not node.bad:
            message = "A task it maps over was skipped, so there is nothing to map over."
            self._decide(node, StateKind.SKIPPED, message, commands)
        elif node.barren:
            message = "A task it maps over did not succeed, so there is nothing to map over."
            self._decide(node, StateKind.TRIGGER_FAILED, message, commands)
        elif is_hopeless(node.task.trigger, node.good, node.bad):
            message = why_not(node.task.trigger, node.good, node.bad)
            self._decide(node, StateKind.TRIGGER_FAILED, message, commands)
        else:
            commands.append(ExpandTask(node.task.slug))
            self._await(node)

    def _await(self, node: Node) -> None:
        """Note that the edge owes an answer about a node."""
        if not node.is_busy:
            node.is_busy = True
            self._busy += 1

    def _start(self, node: Node, commands: list[Command], after_s: float = 0.0) -> None:
        node.attempt += 1
        if after_s == 0:
            node.state = StateKind.SUBMITTED
        commands.append(
            StartTask(node.task.slug, node.index, node.attempt, after_s, node.is_resumed)
        )
        node.is_resumed = False
        if not node.is_busy:
            node.is_busy = True
            self._busy += 1

    def _end(self, node: Node, event: TaskEnded, commands: list[Command]) -> None:
        """Take an attempt's outcome: pause, go on with the next round, try again, or finish."""
        state, after_s = event.state, event.retry_after_s
        if state in SUCCESSFUL:
            self._finish(node, state, event.message, commands)
        elif state is StateKind.PAUSED and after_s is None:
            self._pause(node, event.message, commands)
        elif state in _GOES_ON or self._may_retry(node, event):
            if state not in _GOES_ON:
                state = StateKind.RETRYING
            if after_s is None:
                delays = node.task.retry_delays_s if state is StateKind.RETRYING else ()
                after_s = delays[min(node.attempt, len(delays)) - 1] if delays else 0.0
            node.state = state
            commands.append(
                EnterState(node.task.slug, node.index, state, event.message, node.attempt, after_s)
            )
            if state is StateKind.LOOPED:
                node.attempt = 0  # Each round has all of the task's retries.
            node.is_resumed = state is StateKind.PAUSED
            self._start(node, commands, after_s)
        else:
            self._finish(node, state, event.message, commands)

    @staticmethod
    def _may_retry(node: Node, event: TaskEnded) -> bool:
        return (
            event.state in _RETRIED
            and not event.final
            and node.attempt <= len(node.task.retry_delays_s)
        )

    def _pause(self, node: Node, message: str, commands: list[Command]) -> None:
        node.state = StateKind.PAUSED
        self._paused[node] = None
        commands.append(
            EnterState(node.task.slug, node.index, StateKind.PAUSED, message, node.attempt)
        )

    def _resume(self, node: Node, commands: list[Command]) -> None:
        """Let a paused node go on, from its trigger on; of any other it changes nothing."""
        if node not in self._paused:
            return
        del self._paused[node]
        node.state = StateKind.RESUME
        node.is_resumed = True
        commands.append(EnterState(node.task.slug, node.index, node.state, "", node.attempt))
        self._ready(node, commands)

    def _decide(self, node: Node, state: StateKind, message: str, commands: list[Command]) -> None:
        """End a node without running it, unless its state handlers have it otherwise."""
        if node.task.has_handlers:
            commands.append(AskHandlers(node.task.slug, node.index, state, message))
            self._await(node)
        else:
            self._finish(node, state, message, commands)

    def _finish(self, node: Node, state: StateKind, message: str, commands: list[Command]) -> None:
        node.state = state
        commands.append(EnterState(node.task.slug, node.index, state, message, node.attempt))
        self._fresh.append(node)

    def _expand(
        self, parent: Node, width: int, sources: dict[str, list[int]], commands: list[Command]
    ) -> None:
        """Make the children of a mapped task, and let go what was waiting for its width."""
        for upstream, is_mapped in parent.above:
            if is_mapped and upstream.children is not None:
                width = min(width, len(upstream.children))
        parent.state = StateKind.MAPPED
        message = f"Mapped over {width} element" + ("s." if width != 1 else ".")
        commands.append(EnterState(parent.task.slug, -1, StateKind.MAPPED, message, 0))
        parent.children = [Node(parent.task, index, parent) for index in range(width)]
        parent.unfinished = width
        for child in parent.children:
            # The parent's own counts hold the edges that all children share.
            child.good, child.bad, child.skipped = parent.good, parent.bad, parent.skipped
            for upstream in self._flat.get(parent.task.slug, ()):
                if upstream.children is not None:
                    child.count(upstream.children[sources[upstream.task.slug][child.index]])
            self._line_up(child)
            self._recall(child, commands)
        for child in parent.children:
            if child.waiting == 0:
                self._ready(child, commands)
        for node, is_mapped in parent.below:
            if is_mapped:
                self._release(node, commands)
        if width == 0:
            self._complete(parent, commands)

    def _line_up(self, child: Node) -> None:
        """Let a child count, or wait for, the children of its index before it."""
        for upstream, is_mapped in child.above:
            if is_mapped and upstream.children is not None:
                before = upstream.children[child.index]
                if before.state in _FINISHED:
                    child.count(before)
                else:
                    child.waiting += 1

    # --- what follows from a node that finished ----------------------------------------------

    def _settle(self, commands: list[Command]) -> list[Command]:
        """Tell every downstream of what finished, until nothing more follows."""
        fresh = self._fresh
        while fresh:
            node = fresh.popleft()
            node.tally()
            parent = node.parent
            if parent is None:
                self._complete(node, commands)
                continue
            for below, is_mapped in parent.below:
                if is_mapped and below.children is not None and node.index < len(below.children):
                    child = below.children[node.index]
                    child.count(node)
                    self._release(child, commands)
            parent.unfinished -= 1
            if parent.unfinished == 0:
                self._complete(parent, commands)
        if self._open == 0 and not self._is_over:
            self._is_over = True
            commands.append(self._verdict())
        elif self._paused and self._busy == 0 and self._open:
            commands.append(AwaitResume([(node.task.slug, node.index) for node in self._paused]))
        return commands

    def _complete(self, node: Node, commands: list[Command]) -> None:
        """Close a task and its children, and tell the tasks after it."""
        self._open -= 1
        for below, is_mapped in node.below:
            if is_mapped and node.children is not None:
                continue  # Its children told the children below one by one.
            if node.children is not None and node in self._flat.get(below.task.slug, ()):
                self._release(below, commands)
                continue  # Each child below counts the one that its element is of.
            below.count(node)
            below.barren += is_mapped and node.state not in _MAPPABLE
            self._release(below, commands)

    def _release(self, node: Node, commands: list[Command]) -> None:
        node.waiting -= 1
        if node.waiting == 0:
            self._ready(node, commands)

    def _cancel(self, reason: str, commands: list[Command]) -> None:
        self._cancelled = reason
        self._paused.clear()
        for each in self._every():
            if each.state not in _FINISHED:
                self._finish(each, StateKind.CANCELLED, reason, commands)

    def _verdict(self) -> FinishRun:
        """Decide the flow run's state from its reference tasks; looks at each of them once."""
        named = [self._nodes[slug] for slug in self._references]
        chosen = named or [node for node in self._nodes.values() if not node.below]
        ends = [each for node in chosen for each in (node, *(node.children or ()))]
        if self._cancelled is not None:
            return FinishRun(StateKind.CANCELLED, self._cancelled)
        bad = [each for each in ends if each.state in _FAILED]
        if not bad:
            return FinishRun(StateKind.SUCCESS, _told(len(self._nodes), "task", "finished."))
        causes = [each for each in self._every() if each.state in _CAUSES]
        return FinishRun(StateKind.FAILED, _blame(causes or bad))

    def _every(self) -> Iterator[Node]:
        for node in self._nodes.values():
            yield node
            yield from node.children or ()


def _links(graph: FlowGraph) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Join edges between the same two tasks: mapped, or flattened, only when all of them are."""
    links: dict[tuple[str, str], tuple[bool, bool]] = {}
    for edge in graph.edges:
        pair = (edge.upstream, edge.downstream)
        is_mapped, is_flat = links.get(pair, (True, True))
        links[pair] = (is_mapped and edge.is_mapped, is_flat and edge.is_flattened)
    return links


def _told(count: int, noun: str, rest: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'} {rest}"


def _blame(nodes: list[Node], most: int = 3) -> str:
    """Name the tasks at fault, the first few of them."""
    names = [
        node.task.slug if node.index < 0 else f"{node.task.slug}[{node.index}]" for node in nodes
    ]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{_told(len(names), 'task', 'failed')}: {', '.join(names[:most])}{more}."
