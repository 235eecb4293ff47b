"""The engine: carries out what the machine decides, and records what happens.

The machine says what to do next; a pool does it; each change of state and each log line becomes
a fact. Everything here runs in one thread, except what pools report while attempts run.
"""

from __future__ import annotations

import heapq
import logging
import sys
import time
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import uuid4

from loopline.backend.context import TaskContext
from loopline.errors import LooplineError
from loopline.flows.attempt import Call, Outcome, explain, run_attempt
from loopline.flows.backlog import Backlog
from loopline.flows.executors.local import LocalExecutor
from loopline.flows.given import given_task_runs
from loopline.flows.guarded import HeldError, guarded
from loopline.flows.log_buffer import LogBuffer
from loopline.flows.memory import Memory
from loopline.flows.parameter import GetItem, Parameter
from loopline.flows.plain import plain, writable
from loopline.flows.results import NOT_KEPT, KeptResults, Result, keep
from loopline.flows.resume import usable_task_runs
from loopline.flows.run_names import name_task_run
from loopline.flows.signals import TRIGGERFAIL, Signal
from loopline.flows.states import State, make_state
from loopline.records.facts import FlowRunState, TaskRunState
from loopline.records.flows import LogLine, StateKind, TaskRun
from loopline.rules.machine import (
    AskTrigger,
    CancelRun,
    EnterState,
    Expanded,
    ExpandTask,
    FinishRun,
    Machine,
    StartTask,
    TaskEnded,
    TriggerAnswered,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

    from loopline.backend.protocol import Backend
    from loopline.flows.executors.base import Executor, Pool
    from loopline.flows.flow import Flow
    from loopline.flows.task import Task
    from loopline.records.facts import Fact
    from loopline.records.operation import Operation
    from loopline.rules.machine import Command, Event
    from loopline.settings import Address

__all__ = ["Recorder", "new_flow_run_id", "run_flow"]

R = TypeVar("R")
_RESULTS = frozenset({StateKind.SUCCESS, StateKind.SKIPPED})


class Recorder(Protocol):
    """What the engine needs of ``loopline.backend.recorder.Recorder``."""

    @property
    def address(self) -> Address:
        """Where it records to."""

    @property
    def backend(self) -> Backend:
        """Where results of earlier holders are read from; opened when first asked for."""

    def record(self, fact: Fact, /) -> None:
        """Journal a fact; safe to call from several threads."""

    def call(self, operation: Operation[R], /) -> R:
        """Ask or command, after what was recorded has reached the store."""

    def stage_bytes(self, data: bytes, /) -> tuple[str, int]:
        """Keep bytes for the drain, before the facts that follow; return SHA-256 and size."""


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
        **(context or {}),
        "flow_name": flow.name,
        "flow_run_id": flow_run_id or new_flow_run_id(),
        "parameters": dict(parameters or {}),
        "scheduled_start_time": scheduled_start_time or datetime.now(UTC),
    }
    given = list(given_task_runs(flow, task_states or {}))
    run = _Run(flow, recorder, values, list(initial), given, token=token, echo=echo, hold=hold)
    run.begin(is_new=flow_run_id is None)
    return run.carry_through(executor)


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
        self._record = recorder.record
        self._values = values
        self._id: str = values["flow_run_id"]
        self._token = token
        self._echo = echo
        self._log = LogBuffer(self._record)
        kept = KeptResults(self._open_blob, partial(self._line, "", logging.WARNING))
        for task_run, result in given:
            kept.put(task_run.result, result)
        self._given = given
        usable = usable_task_runs(flow, [*initial, *(each for each, _ in given)], kept.can_read)
        self._resumed = len(usable)
        self._tasks = {slug: task for task, slug in flow.slugs.items()}
        self._graph = flow.graph()
        self._machine = Machine(self._graph, usable)
        self._memory = Memory(flow, self._machine, usable, kept)
        self._due: list[tuple[float, int, StartTask]] = []
        self._ticket = count()
        self._backlog = Backlog(self._graph)
        self._verdict: FinishRun | None = None

    def _open_blob(self, sha256: str) -> BinaryIO:
        return self._recorder.backend.open_blob(sha256)  # Opened only when it is needed.

    def begin(self, *, is_new: bool) -> None:
        """Record that the run began, or goes on."""
        message = f"Resumed: {self._resumed} task runs were known." if self._resumed else ""
        self._record(
            FlowRunState(
                flow_run_id=self._id,
                state=StateKind.RUNNING,
                at_ms=_now_ms(),
                message=message,
                token=self._token,
                flow_name=self._flow.name,
                graph=self._graph if is_new else None,
                parameters=plain(self._values["parameters"]),
            )
        )
        for task_run, result in self._given:
            self._record_given(task_run, result)

    def _record_given(self, task_run: TaskRun, result: Result) -> None:
        """Record a state that was given, as if the task had just entered it."""
        reference = NOT_KEPT
        if task_run.result:
            reference = self._keep(task_run.task_slug, result)
        self._record(
            TaskRunState(
                flow_run_id=self._id,
                task_slug=task_run.task_slug,
                map_index=task_run.map_index,
                state=task_run.state,
                at_ms=_now_ms(),
                message=writable(task_run.message),
                result=reference,
                token=self._token,
            )
        )

    def carry_through(self, executor: Executor) -> State:
        """Run what there is to run; return the final state."""
        try:
            pool = executor.open(self, address=self._recorder.address.text)
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
            self._line("", logging.ERROR, explain(error))
            self._finish(FinishRun(StateKind.FAILED, f"The engine stopped: {error!r}"))
            raise
        assert self._verdict is not None  # noqa: S101 - what the loop ends with
        return self._finish(self._verdict)

    def _close(self, pool: Pool) -> None:
        """Let go of the pool; a cluster that is slow to close does not undo what its tasks did."""
        try:
            pool.close(abandon=False)
        except Exception as error:  # noqa: BLE001 - whatever a cluster raises; it is reported
            self._line("", logging.WARNING, f"The executor did not close cleanly: {error!r}")

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
                case StartTask(after_s=after_s) if after_s > 0:
                    at_s = time.monotonic() + after_s
                    now = StartTask(command.slug, command.map_index, command.attempt)
                    heapq.heappush(self._due, (at_s, next(self._ticket), now))
                case StartTask():
                    if self._backlog or not pool.has_room:
                        self._backlog.push(command)
                    else:
                        event = self._start(command, pool)
                case ExpandTask():
                    event = self._expand(command)
                case AskTrigger():
                    event = self._ask(command)
                case FinishRun():
                    self._verdict = command
            if event is not None:
                commands.extend(self._machine.advance(event))

    # --- commands --------------------------------------------------------------------------

    def _start(self, command: StartTask, pool: Pool) -> Event | None:
        slug, map_index = command.slug, command.map_index
        task = self._tasks[slug]
        try:
            arguments = self._memory.arguments(slug, map_index)
        except LooplineError as error:
            return self._give_up(slug, map_index, error)
        where = TaskContext(self._id, slug, map_index, self._token)
        timeout_s = None if task.timeout is None else task.timeout.total_seconds()
        values = self._values
        if task.task_run_name is not None:
            values = self._with_name(task, arguments, where, command.attempt)
        call = Call(task, arguments, values, where, command.attempt, timeout_s)
        if isinstance(task, Parameter | GetItem):
            return self._take(run_attempt(call, partial(self.logged, call)))
        pool.submit(call)
        return None

    def _with_name(
        self, task: Task, arguments: Mapping[str, Any], where: TaskContext, attempt: int
    ) -> dict[str, Any]:
        """Add the task run's own name to what its context has."""
        values = {
            **self._values,
            "task_name": task.name,
            "task_slug": where.task_slug,
            "map_index": where.map_index,
            "task_run_count": attempt,
        }
        complain = partial(self._line, where.task_slug, logging.WARNING)
        return {**values, "task_run_name": name_task_run(task, arguments, values, complain)}

    def _take(self, outcome: Outcome) -> Event:
        where, _, state, message, result, retry_after_s, final = outcome
        self._memory.remember(where.task_slug, where.map_index, result)
        return TaskEnded(where.task_slug, where.map_index, state, message, retry_after_s, final)

    def _expand(self, command: ExpandTask) -> Event:
        try:
            width = self._memory.width(command.slug)
            return Expanded(command.slug, -1, width, self._memory.sources(command.slug))
        except LooplineError as error:
            return self._give_up(command.slug, -1, error)

    def _give_up(self, slug: str, map_index: int, error: Exception) -> Event:
        """End a task that cannot even be started."""
        self._line(slug, logging.ERROR, str(error))
        self._memory.remember(slug, map_index, Result(error))
        return TaskEnded(slug, map_index, StateKind.FAILED, str(error), final=True)

    def _ask(self, command: AskTrigger) -> Event:
        """Ask the user's own trigger."""
        slug, map_index = command.slug, command.map_index
        trigger: Any = self._tasks[slug].trigger
        try:
            if trigger(self._memory.upstream_states(slug, map_index)):
                return TriggerAnswered(slug, map_index)
            message = f"The trigger {self._name_of(trigger)} did not let it run."
            result: object = TRIGGERFAIL(message)
            state = StateKind.TRIGGER_FAILED
        except Signal as signal:
            state = signal.kind if signal.kind.is_finished else StateKind.TRIGGER_FAILED
            message = signal.message
            result = signal.result if signal.kind.is_successful else signal
        except Exception as error:  # noqa: BLE001 - the user's code; it is reported
            self._line(slug, logging.ERROR, explain(error))
            message = f"The trigger {self._name_of(trigger)} raised {error!r}."
            state, result = StateKind.TRIGGER_FAILED, error
        self._memory.remember(slug, map_index, Result(result))
        return TriggerAnswered(slug, map_index, state, message)

    @staticmethod
    def _name_of(trigger: object) -> str:
        return getattr(trigger, "__name__", type(trigger).__name__)

    def _enter(self, command: EnterState) -> None:
        """Record a change of state, with the result of a success."""
        slug, map_index, state = command.slug, command.map_index, command.state
        if state is StateKind.TRIGGER_FAILED and command.attempt == 0:
            self._memory.remember_if_new(slug, map_index, TRIGGERFAIL(command.message))
        self._memory.enter(command)
        reference = NOT_KEPT
        if state in _RESULTS and not isinstance(self._tasks[slug], Parameter | GetItem):
            reference = self._keep(slug, self._memory.result(slug, map_index))
        elif state is StateKind.RETRYING:
            self._line(slug, logging.WARNING, f"It will be tried again: {command.message}")
        self._record(
            TaskRunState(
                flow_run_id=self._id,
                task_slug=slug,
                map_index=map_index,
                state=state,
                at_ms=_now_ms(),
                message=writable(command.message),
                attempt=command.attempt,
                result=reference,
                token=self._token,
            )
        )

    def _keep(self, slug: str, result: Result) -> str:
        try:
            return keep(result, self._recorder.stage_bytes)
        except Exception as error:  # noqa: BLE001 - whatever pickling raises; it is reported
            message = (
                f"The result cannot be kept ({type(error).__name__}: {error}). If another worker "
                "has to take over this flow run, the task runs again."
            )
            self._line(slug, logging.WARNING, message)
            return NOT_KEPT

    # --- what pools report, from any thread ------------------------------------------------

    def started(self, call: Call) -> None:
        """Record that an attempt began."""
        where = call.where
        self._record(
            TaskRunState(
                flow_run_id=self._id,
                task_slug=where.task_slug,
                map_index=where.map_index,
                state=StateKind.RUNNING,
                at_ms=_now_ms(),
                message=writable(call.values.get("task_run_name", "")),
                attempt=call.attempt,
                token=self._token,
            )
        )

    def logged(self, call: Call, level: int, message: str, *, shown: bool) -> None:
        """Record a line a task wrote."""
        self._line(call.where.task_slug, level, message, shown=shown)

    def _line(self, slug: str, level: int, message: str, *, shown: bool = False) -> None:
        at_ms = _now_ms()
        message = writable(message)
        self._log.add(
            LogLine(flow_run_id=self._id, task_slug=slug, at_ms=at_ms, level=level, message=message)
        )
        if self._echo and not shown:
            clock = datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%H:%M:%S")
            name = logging.getLevelName(level)
            sys.stderr.write(f"{clock} {name:<7} {slug or self._flow.name}: {message}\n")

    # --- the end ---------------------------------------------------------------------------

    def _cancel(self, reason: str) -> None:
        for command in self._machine.advance(CancelRun(reason)):
            if isinstance(command, EnterState):
                self._enter(command)
        self._finish(FinishRun(StateKind.CANCELLED, reason))

    def _finish(self, verdict: FinishRun) -> State:
        self._log.flush()
        self._record(
            FlowRunState(
                flow_run_id=self._id,
                state=verdict.state,
                at_ms=_now_ms(),
                message=writable(verdict.message),
                token=self._token,
                flow_name=self._flow.name,
            )
        )
        return make_state(verdict.state, verdict.message, self._memory.final())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
