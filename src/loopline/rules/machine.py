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

import msgspec

from loopline.errors import FlowBuildError
from loopline.records.flows import StateKind
from loopline.rules.triggers import TRIGGERS, is_hopeless, why_not

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopline.records.flows import FlowGraph, GraphTask, TaskRun

__all__ = [
    "AskTrigger",
    "CancelRun",
    "Command",
    "EnterState",
    "Event",
    "ExpandTask",
    "Expanded",
    "FinishRun",
    "Machine",
    "StartTask",
    "TaskEnded",
    "TriggerAnswered",
]

#: How often a task may be running when its worker dies, beyond its own retries, before it is
#: given up: a task that kills every worker it gets must not go round for ever.
LOST_ATTEMPTS = 3


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A task, or with ``map_index`` one child of a mapped task, and something about it."""

    slug: str
    map_index: int = -1


class TaskEnded(_Message, frozen=True, gc=False):
    """Event: an attempt ended.

    Attributes:
        state: Success, Skipped, Failed, TimedOut, Cancelled, or Retrying when the task itself
            asks for another attempt.
        retry_after_s: Seconds to wait before that attempt; None: as the task's retries say.
        final: Do not retry, whatever the task's retries say.
    """

    state: StateKind = StateKind.SUCCESS
    message: str = ""
    retry_after_s: float | None = None
    final: bool = False


class Expanded(_Message, frozen=True, gc=False):
    """Event: a mapped task has ``width`` children.

    Attributes:
        sources: For each upstream whose children it takes flattened: which of them each of its
            own children takes an element of.
    """

    width: int = 0
    sources: dict[str, list[int]] = {}


class TriggerAnswered(_Message, frozen=True, gc=False):
    """Event: the user's trigger lets the task run (``state`` None) or ends it in ``state``."""

    state: StateKind | None = None
    message: str = ""


class CancelRun(msgspec.Struct, frozen=True, gc=False):
    """Event: nothing more shall run; whatever has not finished is cancelled."""

    reason: str = ""


class StartTask(_Message, frozen=True, gc=False):
    """Command: run the task after ``after_s`` seconds; ``attempt`` counts from 1."""

    attempt: int = 1
    after_s: float = 0.0


class ExpandTask(_Message, frozen=True, gc=False):
    """Command: find how many children the mapped task has, and answer with ``Expanded``."""


class AskTrigger(_Message, frozen=True, gc=False):
    """Command: ask the user's own trigger, and answer with ``TriggerAnswered``."""


class EnterState(_Message, frozen=True, gc=False):
    """Command: record that the task entered a state other than Running."""

    state: StateKind = StateKind.SUCCESS
    message: str = ""
    attempt: int = 0


class FinishRun(msgspec.Struct, frozen=True, gc=False):
    """Command: every task has finished; the flow run ends in ``state``."""

    state: StateKind
    message: str = ""


Event = TaskEnded | Expanded | TriggerAnswered | CancelRun
Command = StartTask | ExpandTask | AskTrigger | EnterState | FinishRun


#: What is below a child: its parent knows. One list for all of them, for there are many.
_NONE: list[tuple[_Node, bool]] = []


class _Node:
    """One task or child, and what it knows of the nodes before it.

    Attributes:
        waiting: Upstream edges whose outcome is still open.
        good: Upstream nodes that succeeded, children of mapped tasks counted one by one.
        bad: Upstream nodes that failed.
        skipped: Upstream nodes that were skipped (they are good, too).
        barren: Mapped edges whose upstream gave nothing to map over.
        below: Downstream nodes, and whether the edge is mapped. Of a child: empty.
        children: Children once a mapped task is expanded.
        unfinished: Children that have not finished.
        gave_good: What it adds to ``good`` of the nodes below: itself, or its children.
        gave_bad: Likewise to ``bad``.
        gave_skipped: Likewise to ``skipped``.
    """

    __slots__ = (
        "above", "attempt", "bad", "barren", "below", "children", "gave_bad", "gave_good",
        "gave_skipped", "good", "index", "parent", "skipped", "state", "task", "unfinished",
        "waiting",
    )  # fmt: skip

    def __init__(self, task: GraphTask, index: int = -1, parent: _Node | None = None) -> None:
        self.task = task
        self.index = index
        self.parent = parent
        self.state = StateKind.PENDING
        self.attempt = 0
        self.waiting = 0
        self.good = 0
        self.bad = 0
        self.skipped = 0
        self.barren = 0
        self.above: list[tuple[_Node, bool]] = [] if parent is None else parent.above
        self.below: list[tuple[_Node, bool]] = [] if parent is None else _NONE
        self.children: list[_Node] | None = None
        self.unfinished = 0
        self.gave_good = 0
        self.gave_bad = 0
        self.gave_skipped = 0

    def tally(self) -> None:
        """Sum up how it ended, for itself and for its parent."""
        is_good = self.state in _SUCCESSFUL
        is_skipped = self.state is StateKind.SKIPPED
        for each in (self,) if self.parent is None else (self, self.parent):
            each.gave_good += is_good
            each.gave_bad += not is_good
            each.gave_skipped += is_skipped

    def count(self, ended: _Node) -> None:
        """Take note of how an upstream ended."""
        self.good += ended.gave_good
        self.bad += ended.gave_bad
        self.skipped += ended.gave_skipped


_SUCCESSFUL = frozenset(kind for kind in StateKind if kind.is_successful)
_FINISHED = frozenset(kind for kind in StateKind if kind.is_finished)
_FAILED = _FINISHED - _SUCCESSFUL
_MAPPABLE = _SUCCESSFUL - {StateKind.SKIPPED}
_RETRIED = frozenset({StateKind.FAILED, StateKind.TIMED_OUT})


class Machine:
    """One flow run: its graph and where each task stands.

    Args:
        graph: The tasks and their dependencies, without cycles.
        initial: Task runs of an earlier holder of this flow run. Finished tasks stay finished; a
            task that was running when its worker died starts again as its next attempt.

    Raises:
        FlowBuildError: An edge names an unknown task.
    """

    def __init__(self, graph: FlowGraph, initial: Iterable[TaskRun] = ()) -> None:
        self._nodes = {task.slug: _Node(task) for task in graph.tasks}
        self._open = len(self._nodes)
        self._fresh: deque[_Node] = deque()
        self._earlier = {(run.task_slug, run.map_index): run for run in initial}
        self._references = list(graph.reference_tasks)
        self._is_over = False
        self._cancelled: str | None = None
        #: Of a mapped task: the tasks whose elements' elements it takes.
        self._flat: dict[str, list[_Node]] = {}
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
        match event:
            case TaskEnded():
                self._end(node, event, commands)
            case Expanded(width=width, sources=sources):
                self._expand(node, width, sources, commands)
            case TriggerAnswered(state=state, message=message) if state is not None:
                self._finish(node, state, message, commands)
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

    def _find(self, slug: str, map_index: int) -> _Node:
        node = self._nodes[slug]
        return node if map_index < 0 else (node.children or [])[map_index]

    def _recall(self, node: _Node, commands: list[Command]) -> None:
        """Put a node where an earlier holder left it; a mapped parent is expanded anew."""
        run = self._earlier.get((node.task.slug, node.index))
        if run is None or (node.index < 0 and run.state is StateKind.MAPPED):
            return
        node.attempt = run.attempt
        if run.state in _FINISHED:
            node.state = run.state
            self._fresh.append(node)
        elif run.state is StateKind.RUNNING and (
            run.attempt >= len(node.task.retry_delays_s) + LOST_ATTEMPTS
        ):
            message = f"Its worker died in each of {run.attempt} attempts; it is given up."
            self._finish(node, StateKind.FAILED, message, commands)

    def _ready(self, node: _Node, commands: list[Command]) -> None:
        """Decide about a node whose upstreams have all ended."""
        if node.state in _FINISHED:
            return
        task = node.task
        if node.skipped and task.skip_on_upstream_skip:
            message = "A task before it was skipped."
            self._finish(node, StateKind.SKIPPED, message, commands)
        elif task.is_mapped and node.index < 0:
            if node.barren and not node.bad:
                message = "A task it maps over was skipped, so there is nothing to map over."
                self._finish(node, StateKind.SKIPPED, message, commands)
            elif node.barren:
                message = "A task it maps over did not succeed, so there is nothing to map over."
                self._finish(node, StateKind.TRIGGER_FAILED, message, commands)
            elif is_hopeless(task.trigger, node.good, node.bad):
                message = why_not(task.trigger, node.good, node.bad)
                self._finish(node, StateKind.TRIGGER_FAILED, message, commands)
            else:
                commands.append(ExpandTask(task.slug))
        elif not node.above:
            self._start(node, commands)
        elif task.trigger not in TRIGGERS:
            commands.append(AskTrigger(task.slug, node.index))
        elif TRIGGERS[task.trigger](node.good, node.bad):
            self._start(node, commands)
        else:
            message = why_not(task.trigger, node.good, node.bad)
            self._finish(node, StateKind.TRIGGER_FAILED, message, commands)

    def _start(self, node: _Node, commands: list[Command], after_s: float = 0.0) -> None:
        node.attempt += 1
        if after_s == 0:
            node.state = StateKind.SUBMITTED
        commands.append(StartTask(node.task.slug, node.index, node.attempt, after_s))

    def _end(self, node: _Node, event: TaskEnded, commands: list[Command]) -> None:
        """Take an attempt's outcome: try again, or finish."""
        delays = node.task.retry_delays_s
        wished = event.state is StateKind.RETRYING
        again = event.state in _RETRIED and not event.final and node.attempt <= len(delays)
        if not (wished or again):
            self._finish(node, event.state, event.message, commands)
            return
        node.state = StateKind.RETRYING
        after_s = event.retry_after_s
        if after_s is None:
            after_s = delays[min(node.attempt, len(delays)) - 1] if delays else 0.0
        commands.append(
            EnterState(node.task.slug, node.index, StateKind.RETRYING, event.message, node.attempt)
        )
        self._start(node, commands, after_s)

    def _finish(self, node: _Node, state: StateKind, message: str, commands: list[Command]) -> None:
        node.state = state
        commands.append(EnterState(node.task.slug, node.index, state, message, node.attempt))
        self._fresh.append(node)

    def _expand(
        self, parent: _Node, width: int, sources: dict[str, list[int]], commands: list[Command]
    ) -> None:
        """Make the children of a mapped task, and let go what was waiting for its width."""
        for upstream, is_mapped in parent.above:
            if is_mapped and upstream.children is not None:
                width = min(width, len(upstream.children))
        parent.state = StateKind.MAPPED
        message = f"Mapped over {width} element" + ("s." if width != 1 else ".")
        commands.append(EnterState(parent.task.slug, -1, StateKind.MAPPED, message, 0))
        parent.children = [_Node(parent.task, index, parent) for index in range(width)]
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

    def _line_up(self, child: _Node) -> None:
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
        return commands

    def _complete(self, node: _Node, commands: list[Command]) -> None:
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

    def _release(self, node: _Node, commands: list[Command]) -> None:
        node.waiting -= 1
        if node.waiting == 0:
            self._ready(node, commands)

    def _cancel(self, reason: str, commands: list[Command]) -> None:
        self._cancelled = reason
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
        causes = [each for each in self._every() if each.state in _RETRIED]
        return FinishRun(StateKind.FAILED, _blame(causes or bad))

    def _every(self) -> Iterator[_Node]:
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


def _blame(nodes: list[_Node], most: int = 3) -> str:
    """Name the tasks at fault, the first few of them."""
    names = [
        node.task.slug if node.index < 0 else f"{node.task.slug}[{node.index}]" for node in nodes
    ]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{_told(len(names), 'task', 'failed')}: {', '.join(names[:most])}{more}."
