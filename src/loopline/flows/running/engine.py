"""The engine: carries out what the machine decides, and records what happens.

The machine says what to do next; a pool does it; each change of state and each log line becomes
a fact. Everything here runs in one thread, except what pools report while attempts run.
"""

from __future__ import annotations

import heapq
import logging
import time
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec import structs

from loopline.backend.context import TaskContext
from loopline.errors import LooplineError
from loopline.flows.context import run_values
from loopline.flows.executors.local import LocalExecutor
from loopline.flows.parameter import GetItem, Parameter
from loopline.flows.running.attempt import Call, explain, run_attempt
from loopline.flows.running.backlog import Backlog
from loopline.flows.running.collector import sparing_collector
from loopline.flows.running.given import given_task_runs
from loopline.flows.running.guarded import HeldError, guarded
from loopline.flows.running.handlers import handle_change
from loopline.flows.running.memory import Memory
from loopline.flows.running.plain import plain
from loopline.flows.running.questions import Questions
from loopline.flows.running.recorder import Recorder
from loopline.flows.running.report import Report
from loopline.flows.running.results import NOT_KEPT, KeptResults, Result
from loopline.flows.running.resume import usable_task_runs, waits_s
from loopline.flows.running.run_names import name_task_run
from loopline.flows.running.special import Special
from loopline.flows.signals import TRIGGERFAIL
from loopline.flows.states import Running, Scheduled, State, make_state
from loopline.records.flows import StateKind, TaskRun
from loopline.rules.machine import (
    AskHandlers,
    AskTrigger,
    AwaitResume,
    CancelRun,
    EnterState,
    Expanded,
    ExpandTask,
    FinishRun,
    Machine,
    ResumeTask,
    StartTask,
    TaskEnded,
)
from loopline.rules.words import count_words, task_words

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from typing import BinaryIO

    from loopline.flows.executors.base import Executor, Pool
    from loopline.flows.flow import Flow
    from loopline.flows.running.outcomes import Outcome
    from loopline.flows.task import Task
    from loopline.rules.machine import Command, Event

__all__ = ["Recorder", "new_flow_run_id", "run_flow"]

_RESULTS = frozenset({StateKind.SUCCESS, StateKind.CACHED, StateKind.SKIPPED, StateKind.LOOPED})
#: What the context of a task has and that of a flow run inside it must not take over.
_OF_A_TASK = frozenset({
    "map_index", "resume", "task_full_name", "task_loop_count", "task_loop_result", "task_name",
    "task_run_count", "task_run_name", "task_slug",
})  # fmt: skip


def new_flow_run_id() -> str:
    """Make an id: 32 hex digits."""
    return uuid4().hex


def run_flow(  # noqa: PLR0913 - a flow run has these
    flow: Flow,
    *,
    parameters: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    flow_run_id: str | None = None,
    token: int = 0,
    recorder: Recorder | None = None,
    initial: Iterable[TaskRun] = (),
    scheduled_start_time: datetime | None = None,
    task_states: Mapping[Task, State] | None = None,
    context: Mapping[str, Any] | None = None,
    echo: bool = False,
    hold: threading.Event | None = None,
    may_resume: Callable[[str], bool] | None = None,
) -> State:
    """Run a flow to its end; return the final state, whose ``result`` is task → state.

    Args:
        flow: The flow, sound (``flow.validate()``), with all its required parameters given.
        parameters: Values of its parameters.
        executor: Where the tasks run; by default the flow's own, else in this thread.
        flow_run_id: The run to carry out; by default a new one, with the graph in its first fact.
        token: Fencing token under which the run is held; 0 outside a worker.
        recorder: Where facts go; by default the process's recorder.
        initial: Task runs of earlier holders: what they finished is not run again.
        scheduled_start_time: When the run was due.
        task_states: States of tasks to begin with: what they finished is not run again.
        context: What the run context has in it, too.
        echo: Show log lines on standard error, too.
        hold: Set by another thread when the run shall pause: what runs ends, no more begins.
        may_resume: Asked about each paused task when nothing else can go on, by its name; without
            it, and when it says no, the run ends as Paused, to be resumed from what was recorded.

    Raises:
        FlowBuildError: A task cannot run where the executor runs it; nothing was recorded.
        KeyboardInterrupt: As it came, with everything unfinished recorded as Cancelled.
    """
    if recorder is None:
        from loopline.backend.recorder import get_recorder

        recorder = get_recorder()
    executor = executor or flow.executor or LocalExecutor()
    executor.check(flow)
    values = {
        **{name: value for name, value in run_values.get().items() if name not in _OF_A_TASK},
        **(context or {}),
        "flow_name": flow.name,
        "flow_run_id": flow_run_id or new_flow_run_id(),
        # With the defaults, for whoever looks at all of them: a trigger, a cache, a template.
        "parameters": {**_defaults(flow), **(parameters or {})},
        "scheduled_start_time": scheduled_start_time or datetime.now(UTC),
    }
    with sparing_collector():
        given = list(given_task_runs(flow, task_states or {}))
        run = _Run(flow, recorder, values, list(initial), given, token=token, echo=echo, hold=hold)
        run.parameters = dict(parameters or {})
        run.parent = run_values.get().get("flow_run_id", "")
        run.may_resume = may_resume
        before = run_values.set(values)  # For whom the engine itself asks, such as handlers.
        try:
            refused = run.begin(is_new=flow_run_id is None)
            return refused or run.carry_through(executor)
        finally:
            run_values.reset(before)


class _Run:
    """One flow run under way."""

    def __init__(
        self,
        flow: Flow,
        recorder: Recorder,
        values: dict[str, Any],
        initial: list[TaskRun],
        given: list[tuple[TaskRun, Result]],
        *,
        token: int,
        echo: bool,
        hold: threading.Event | None,
    ) -> None:
        self._flow = flow
        self._hold = hold
        self._recorder = recorder
        self._values = values
        self._id: str = values["flow_run_id"]
        self._token = token
        self._report = Report(recorder, self._id, flow.name, token=token, echo=echo)
        self._special = special = Special(flow, values, recorder, self._report.warn)
        self._raises = bool(values.get("raise_on_exception"))
        self.may_resume: Callable[[str], bool] | None = None
        self.parameters: dict[str, Any] = {}
        self.parent = ""
        kept = KeptResults(self._open_blob, partial(self._report.warn, ""), special.locate)
        for task_run, result in given:
            kept.put(task_run.result, result)
        self._given = given
        usable = usable_task_runs(flow, [*initial, *(each for each, _ in given)], kept.can_read)
        self._resumed = len(usable)
        self._tasks = {slug: task for task, slug in flow.slugs.items()}
        self._graph = flow.graph()
        self._machine = Machine(self._graph, usable, waits_s(usable, time.time()))
        self._memory = Memory(flow, self._machine, usable, kept)
        self._questions = Questions(self._tasks, values, self._memory, special, self._report)
        special.recall(usable, kept)
        self._due: list[tuple[float, int, StartTask]] = []
        self._ticket = count()
        self._backlog = Backlog(self._graph)
        self._verdict: FinishRun | None = None

    def _open_blob(self, sha256: str) -> BinaryIO:
        return self._recorder.backend.open_blob(sha256)  # Opened only when it is needed.

    def begin(self, *, is_new: bool) -> State | None:
        """Record that the run began, or goes on; return its state if a handler ended it."""
        known = count_words(self._resumed, "task run")
        message = f"Resumed: {known} known before." if self._resumed else ""
        self._report.flow(
            StateKind.RUNNING,
            message,
            graph=self._graph if is_new else None,
            parameters=plain(self.parameters),
            parent=self.parent if is_new else "",
        )
        for task_run, result in self._given:
            self._report.given(task_run, result)
        if not self._flow.state_handlers:
            return None
        state = handle_change(self._flow, self._flow.state_handlers, Scheduled(), Running())
        return None if state.is_running() else self._end(state)

    def carry_through(self, executor: Executor) -> State:
        """Run what there is to run; return the final state."""
        try:
            pool = executor.open(self._report, address=self._recorder.address.text)
            pool = guarded(pool, self._recorder, self._flow.tasks, self._hold)
            try:
                self._loop(pool)
            except HeldError:
                self._verdict = FinishRun(StateKind.PAUSED, "Paused; its other tasks wait.")
            except BaseException:
                pool.close(abandon=True)
                raise
            self._close(pool)
        except KeyboardInterrupt:
            self._cancel("Interrupted.")
            raise
        except BaseException as error:
            self._report.line("", logging.ERROR, explain(error))
            self._finish(FinishRun(StateKind.FAILED, f"The engine stopped: {error!r}"))
            raise
        assert self._verdict is not None  # noqa: S101 - what the loop ends with
        return self._finish(self._verdict)

    def _close(self, pool: Pool) -> None:
        """Let go of the pool; a cluster that is slow to close does not undo what its tasks did."""
        try:
            pool.close(abandon=False)
        except Exception as error:  # noqa: BLE001 - whatever a cluster raises; it is reported
            self._report.line("", logging.WARNING, f"The executor did not close cleanly: {error!r}")

    def _loop(self, pool: Pool) -> None:
        commands = self._machine.begin()
        while True:
            self._carry_out(commands, pool)
            while self._backlog and pool.has_room:
                event = self._start(self._backlog.pop(), pool)
                if event is not None:
                    self._carry_out(self._machine.advance(event), pool)
            if self._verdict is not None:
                return
            now = time.monotonic()
            if self._due and self._due[0][0] <= now:
                commands = [heapq.heappop(self._due)[2]]
                continue
            outcome = pool.wait(self._due[0][0] - now if self._due else None)
            commands = [] if outcome is None else self._machine.advance(self._take(outcome))

    def _carry_out(self, commands: list[Command], pool: Pool) -> None:
        for command in commands:  # Grows meanwhile: some commands are answered at once.
            event: Event | None = None
            match command:
                case EnterState():
                    self._enter(command)
                case StartTask(slug=slug, after_s=after_s) if after_s > 0:
                    at_s = time.monotonic() + self._special.jitter(slug, after_s)
                    now = structs.replace(command, after_s=0.0)
                    heapq.heappush(self._due, (at_s, next(self._ticket), now))
                case StartTask():
                    if self._backlog or not pool.has_room:
                        self._backlog.push(command)
                    else:
                        event = self._start(command, pool)
                case ExpandTask():
                    event = self._expand(command)
                case AskTrigger():
                    event = self._questions.ask_trigger(command)
                case AskHandlers():
                    event = self._questions.ask_handlers(command)
                case AwaitResume(paused=paused):
                    commands.extend(self._await_resume(paused))
                case FinishRun():
                    self._verdict = command
            if event is not None:
                commands.extend(self._machine.advance(event))

    # --- commands --------------------------------------------------------------------------

    def _start(self, command: StartTask, pool: Pool) -> Event | None:
        slug, map_index = command.slug, command.map_index
        task = self._tasks[slug]
        is_ours = isinstance(task, Parameter | GetItem)
        # What looks at arguments here needs their values.
        is_seen = is_ours or slug in self._special.tasks or task.task_run_name is not None
        by_reference = pool.takes_references and not is_seen
        try:
            arguments = self._memory.arguments(slug, map_index, by_reference=by_reference)
        except LooplineError as error:
            return self._give_up(slug, map_index, error)
        where = TaskContext(self._id, slug, map_index, self._token)
        timeout_s = None if task.timeout is None else task.timeout.total_seconds()
        special, extras = self._special, None
        if slug in special.tasks or command.is_resumed or special.loops:
            if slug in special.tasks:
                cached = special.find_cached(command, arguments)
                if cached is not None:
                    return self._take(cached._replace(where=where))
            extras = special.extras(command)
        values = self._values
        if task.task_run_name is not None:
            values = self._with_name(task, arguments, where, command.attempt)
        call = Call(task, arguments, values, where, command.attempt, timeout_s, extras)
        if is_ours:
            return self._take(run_attempt(call, partial(self._report.logged, call)))
        pool.submit(call)
        return None

    def _with_name(
        self, task: Task, arguments: Mapping[str, Any], where: TaskContext, attempt: int
    ) -> dict[str, Any]:
        """Add the task run's own name to what its context has."""
        values = {
            **self._values,
            "task_name": task.name,
            "task_full_name": task_words(task.name, where.map_index),
            "task_slug": where.task_slug,
            "map_index": where.map_index,
            "task_run_count": attempt,
        }
        complain = partial(self._report.warn, where.task_slug)
        return {**values, "task_run_name": name_task_run(task, arguments, values, complain)}

    def _take(self, outcome: Outcome) -> Event:
        if outcome.where.task_slug in self._special.tasks:
            outcome = self._special.taken(outcome)
        where, _, state, message, result, retry_after_s, final, _ = outcome
        if self._raises and state.is_failed and isinstance(result.value, BaseException):
            raise result.value
        self._memory.remember(where.task_slug, where.map_index, result)
        if state is StateKind.LOOPED:
            self._special.loop((where.task_slug, where.map_index), result)
        return TaskEnded(where.task_slug, where.map_index, state, message, retry_after_s, final)

    def _expand(self, command: ExpandTask) -> Event:
        try:
            width = self._memory.width(command.slug)
            return Expanded(command.slug, -1, width, self._memory.sources(command.slug))
        except LooplineError as error:
            return self._give_up(command.slug, -1, error)

    def _give_up(self, slug: str, map_index: int, error: Exception) -> Event:
        """End a task that cannot even be started."""
        self._report.line(slug, logging.ERROR, str(error))
        self._memory.remember(slug, map_index, Result(error))
        return TaskEnded(slug, map_index, StateKind.FAILED, str(error), final=True)

    def _await_resume(self, paused: list[tuple[str, int]]) -> list[Command]:
        """Ask whether paused tasks may go on; if none may, the run waits as Paused."""
        names = [task_words(slug, index) for slug, index in paused]
        may_resume = self.may_resume or (lambda _: False)
        commands: list[Command] = []
        for (slug, index), name in zip(paused, names, strict=True):
            if may_resume(name):
                commands += self._machine.advance(ResumeTask(slug, index))
        if not commands:
            told = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")  # noqa: PLR2004
            self._verdict = FinishRun(StateKind.PAUSED, f"Waits for {told} to be resumed.")
        # Only the last one tells how it stands now.
        last = commands[-1:]
        return [each for each in commands[:-1] if not isinstance(each, AwaitResume)] + last

    def _enter(self, command: EnterState) -> None:
        """Record a change of state, with the result of a success."""
        slug, map_index, state = command.slug, command.map_index, command.state
        if state is StateKind.TRIGGER_FAILED and command.attempt == 0:
            self._memory.remember_if_new(slug, map_index, TRIGGERFAIL(command.message))
        self._memory.enter(command)
        reference = NOT_KEPT
        special = self._special
        if state in _RESULTS and not isinstance(self._tasks[slug], Parameter | GetItem):
            result = self._memory.result(slug, map_index)
            if slug in special.tasks or special.loops:
                reference = self._reference(slug, map_index, state, result)
            else:
                reference = self._report.keep(slug, result)
        elif state is StateKind.RETRYING:
            self._report.line(slug, logging.WARNING, f"It will be tried again: {command.message}")
        if slug in special.tasks:
            special.tell(command, self._memory.result(slug, map_index))
        self._report.task(
            slug, map_index, state, command.message, command.attempt, reference, command.after_s
        )
        if state is StateKind.SUCCESS and (slug in special.tasks or special.loops):
            special.succeeded((slug, map_index), reference)

    def _reference(self, slug: str, map_index: int, state: StateKind, result: Result) -> str:
        """Keep the result of a task with options, or of one that loops."""
        where = (slug, map_index)
        reference = self._special.reference(where, partial(self._report.keep, slug, result))
        if state is StateKind.LOOPED:
            return self._special.loop_reference(where, reference)
        return reference

    # --- the end ---------------------------------------------------------------------------

    def _cancel(self, reason: str) -> None:
        for command in self._machine.advance(CancelRun(reason)):
            if isinstance(command, EnterState):
                self._enter(command)
        self._finish(FinishRun(StateKind.CANCELLED, reason))

    def _finish(self, verdict: FinishRun) -> State:
        state = make_state(verdict.state, verdict.message, self._memory.final())
        if self._flow.state_handlers:
            results = state.stored
            state = handle_change(self._flow, self._flow.state_handlers, Running(), state)
            if state.stored is None or not isinstance(state.stored, dict):
                state.result = results
        return self._end(state)

    def _end(self, state: State) -> State:
        """Record how the run ended."""
        self._report.flow(state.kind, state.message)
        return state


def _defaults(flow: Flow) -> dict[str, Any]:
    parameters = [task for task in flow.slugs if isinstance(task, Parameter)]
    return {task.name: task.default for task in parameters if not task.required}
