"""What the engine does for tasks with options, and for those that loop or were paused.

It is apart from the engine so that one sees what a plain task costs: two look-ups in dicts.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from loopline.flows.authoring.options import Extras, has_options
from loopline.flows.context import context
from loopline.flows.result_types import LocalResult
from loopline.flows.running.caching import Cache
from loopline.flows.running.handlers import end_in, handle_change
from loopline.flows.running.outcomes import Notes, Outcome
from loopline.flows.running.results import NOT_KEPT, Result, locate
from loopline.flows.states import Mapped, Pending, Retrying, Running, make_state
from loopline.records.flows import StateKind
from loopline.rules.flow_events import TaskEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loopline.flows.flow import Flow
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.recorder import Recorder
    from loopline.flows.running.results import KeptResults
    from loopline.flows.states import State
    from loopline.flows.task import Task
    from loopline.records.flows import TaskRun
    from loopline.rules.flow_events import AskHandlers, EnterState, StartTask

__all__ = ["Special"]

_LOOP = "loop:"

Where = tuple[str, int]


class Special:
    """Options of one flow run's tasks.

    Args:
        flow: The flow.
        values: The run context.
        recorder: Where results that may be used again are looked up and kept.
        say: Told what went wrong, of which task.

    Attributes:
        tasks: The tasks with options, by slug.
        loops: Rounds that a task or child has behind it, and what the last one came to.
    """

    def __init__(
        self,
        flow: Flow,
        values: Mapping[str, Any],
        recorder: Recorder,
        say: Callable[[str, str], None],
    ) -> None:
        default = flow.result
        self.tasks = {
            slug: task
            for task, slug in flow.slugs.items()
            if has_options(task) or (default is not None and task.checkpoint is not False)
        }
        self.loops: dict[Where, tuple[int, Result]] = {}
        self._default: ResultType | None = default
        self._all = flow.slugs
        self._flow_name = flow.name
        self._cache = Cache(recorder, values.get("parameters", {}), say)
        self._references: dict[Where, str] = {}
        self._told: set[Where] = set()

    def result_of(self, task: Task) -> ResultType | None:
        """Tell where a task's results are kept; None: where the engine keeps them."""
        result = task.result or self._default
        return LocalResult() if result is None and task.target is not None else result

    def locate(self, slug: str) -> ResultType:
        """Return what reads the results of a task at a location."""
        task = next((task for task, own in self._all.items() if own == slug), None)
        return (None if task is None else self.result_of(task)) or LocalResult()

    def recall(self, runs: Iterable[TaskRun], kept: KeptResults) -> None:
        """Take note of the rounds that tasks had behind them under an earlier holder."""
        for run in runs:
            if run.result.startswith(_LOOP) and not run.state.is_finished:
                _, number, reference = run.result.split(":", 2)
                result = Result() if reference == NOT_KEPT else kept.get(reference)
                self.loops[run.task_slug, run.map_index] = (int(number), result)

    # --- before an attempt -------------------------------------------------------------------

    def extras(self, command: StartTask) -> Extras:
        """Collect what an attempt needs to know."""
        where = (command.slug, command.map_index)
        values: dict[str, Any] = {}
        previous = StateKind.RETRYING if command.attempt > 1 else StateKind.PENDING
        if command.is_resumed:
            previous = StateKind.RESUME
            values["resume"] = True
        if where in self.loops:
            count, result = self.loops[where]
            values["task_loop_count"] = count + 1
            values["task_loop_result"] = result.value
        task = self.tasks.get(command.slug)
        return Extras(previous, values, None if task is None else self.result_of(task))

    def jitter(self, slug: str, after_s: float) -> float:
        """Lengthen a delay by a random part, as the task's ``retry_jitter`` says."""
        task = self.tasks.get(slug)
        if task is None or not task.retry_jitter:
            return after_s
        return after_s * (1 + task.retry_jitter * random.random())  # noqa: S311 - no secret

    def find_cached(self, command: StartTask, arguments: Mapping[str, Any]) -> Outcome | None:
        """Look for an earlier result that may be used again."""
        slug, index = command.slug, command.map_index
        task = self.tasks[slug]
        if task.cache_for is None or (slug, index) in self.loops:
            return None
        key = task.cache_key or f"{self._flow_name}/{task.name}"
        found = self._cache.find((slug, index), task, key, arguments, self.result_of(task))
        if found is None:
            return None
        state, reference = found
        settled = self._change((slug, index), command.attempt, Pending(), state)
        if settled is state:
            self._references[slug, index] = reference
        kind, message, result, after_s = end_in(settled)
        where: Any = None  # The engine knows it.
        notes = Notes(is_handled=True)
        return Outcome(
            where, command.attempt, kind, message, result, after_s, final=True, notes=notes
        )

    # --- after it ------------------------------------------------------------------------------

    def taken(self, outcome: Outcome) -> Outcome:
        """Note where a result is kept, and tell handlers of an attempt that could not itself."""
        slug = outcome.where.task_slug
        task = self.tasks[slug]
        if outcome.notes is None:
            outcome = self._handle(task, outcome)
        elif outcome.notes.location:
            self._references[slug, outcome.where.map_index] = locate(slug, outcome.notes.location)
        return self._ask_to_retry(task, outcome) if task.state_handlers else outcome

    def _ask_to_retry(self, task: Task, outcome: Outcome) -> Outcome:
        """Ask a task's handlers about a retry that its options want; they may change it."""
        where = (outcome.where.task_slug, outcome.where.map_index)
        if outcome.state is StateKind.RETRYING:
            self._told.add(where)  # The task itself asked for it, and they heard of that.
        retries = outcome.attempt <= task.max_retries and not outcome.final
        if outcome.state not in {StateKind.FAILED, StateKind.TIMED_OUT} or not retries:
            return outcome
        failed = make_state(outcome.state, outcome.message, outcome.result)
        again = Retrying(outcome.message, run_count=outcome.attempt)
        settled = self._change(where, outcome.attempt, failed, again)
        self._told.add(where)
        if settled is again:
            return outcome
        kind, message, result, after_s = end_in(settled)
        if kind is not StateKind.RETRYING:
            self._told.discard(where)
        return outcome._replace(
            state=kind, message=message, result=result, retry_after_s=after_s, final=True
        )

    def _handle(self, task: Task, outcome: Outcome) -> Outcome:
        if not task.state_handlers:
            return outcome
        new = make_state(outcome.state, outcome.message, outcome.result)
        where = (outcome.where.task_slug, outcome.where.map_index)
        settled = self._change(where, outcome.attempt, Running(), new)
        if settled is new:
            return outcome
        kind, message, result, after_s = end_in(settled)
        return outcome._replace(state=kind, message=message, result=result, retry_after_s=after_s)

    def loop(self, where: Where, result: Result) -> None:
        """Note that a round ended."""
        count, _ = self.loops.get(where, (0, None))
        self.loops[where] = (count + 1, result)

    def answer(self, command: AskHandlers, result: Result) -> tuple[TaskEnded, Result]:
        """Ask a task's handlers about a state that it would end in without having run."""
        new = make_state(command.state, command.message, result)
        settled = self._change((command.slug, command.map_index), 0, Pending(), new)
        kind, message, result, after_s = end_in(settled)
        event = TaskEnded(command.slug, command.map_index, kind, message, after_s, final=True)
        return event, result

    def tell(self, command: EnterState, result: Result) -> None:
        """Tell a task's handlers of a state that they cannot change."""
        where = (command.slug, command.map_index)
        if command.state is StateKind.RETRYING and where in self._told:
            self._told.discard(where)
        elif command.state is StateKind.RETRYING:
            failed = make_state(StateKind.FAILED, command.message, result)
            again = Retrying(command.message, run_count=command.attempt)
            self._change(where, command.attempt, failed, again)
        elif command.state is StateKind.MAPPED:
            self._change(where, 0, Pending(), Mapped(command.message))

    def _change(self, where: Where, attempt: int, old: State, new: State) -> State:
        """Ask a task's handlers about a change, in the context of the task run."""
        task = self.tasks[where[0]]
        if not task.state_handlers:
            return new
        values = {"task_name": task.name, "task_slug": where[0], "map_index": where[1]}
        with context(values, task_run_count=attempt or 1):
            return handle_change(task, task.state_handlers, old, new)

    def reference(self, where: Where, keep: Callable[[], str]) -> str:
        """Tell how a result is found again; ``keep`` keeps it where the engine does."""
        known = self._references.pop(where, None)
        if known is not None:
            reference = known
        else:
            task = self.tasks.get(where[0])
            is_kept = task is None or (
                task.checkpoint is not False and getattr(self.result_of(task), "is_kept", True)
            )
            reference = keep() if is_kept else NOT_KEPT
        return reference

    def loop_reference(self, where: Where, reference: str) -> str:
        """Write a round's result, and how many there were, as one reference."""
        return f"{_LOOP}{self.loops[where][0]}:{reference}"

    def succeeded(self, where: Where, reference: str) -> None:
        """Keep a new result for those who may use it again."""
        self.loops.pop(where, None)
        task = self.tasks.get(where[0])
        if task is not None and task.cache_for is not None and reference != NOT_KEPT:
            self._cache.put(where, task, reference)
