"""Flow runs from within flows: start them, wait for them, use what they made, cancel them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import BackendUnavailableError, InvalidInputError, NotFoundError
from loopline.flows.context import context, get_run_logger
from loopline.flows.running.results import NOT_KEPT, load_reference
from loopline.flows.signals import FAIL, SKIP, SUCCESS
from loopline.flows.task import Task, task
from loopline.records.flows import StateKind
from loopline.records.operations import CancelFlowRun as CancelOperation
from loopline.records.operations import (
    CreateFlowRun,
    GetFlowRun,
    GetLogs,
    ListFlowRunEvents,
    ListFlows,
    ListTaskRuns,
    UpdateFlowRun,
)
from loopline.rules.patience import Patience
from loopline.tasks.given import needed, pause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopline.backend.protocol import Backend
    from loopline.flows.signals import Signal
    from loopline.records.flows import FlowRun

__all__ = [
    "CancelFlowRun",
    "RenameFlowRun",
    "StartFlowRun",
    "create_flow_run",
    "get_task_run_result",
    "wait_for_flow_run",
]

_LONGEST_POLL_S = 5.0
_LINES = 1000


@task
def create_flow_run(
    flow_id: str | None = None,
    flow_name: str | None = None,
    project_name: str = "",
    parameters: dict[str, Any] | None = None,
    labels: list[str] | None = None,
    run_name: str | None = None,
    scheduled_start_time: datetime | timedelta | None = None,
    idempotency_key: str | None = None,
) -> str:
    """Ask for a run of a registered flow; return the flow run's id at once.

    Args:
        flow_id: The flow version, or else:
        flow_name: The flow, whose newest version runs.
        project_name: Its project; needed when flows of several have this name.
        parameters: Of the flow run.
        labels: What a worker must have to take it; by default what the flow says.
        run_name: What it is called.
        scheduled_start_time: When it is due, or how long from now; at once by default.
        idempotency_key: Asking twice with one key makes one flow run. By default the key is this
            task run's own, so that an attempt after a failed one makes no second flow run.

    Raises:
        InvalidInputError: Both of id and name are given, or none.
        NotFoundError: There is no such flow.
    """
    if bool(flow_id) == bool(flow_name):
        msg = "Say which flow to run: give flow_id or flow_name, and not both."
        raise InvalidInputError(msg)
    backend = get_recorder().backend
    project = project_name if flow_id else _project_of(backend, flow_name or "", project_name)
    run = backend.call(
        CreateFlowRun(
            flow_version_id=flow_id or "",
            project="" if flow_id else project,
            name=flow_name or "",
            parameters=dict(parameters or {}),
            scheduled_ms=_due_ms(scheduled_start_time),
            run_name=run_name or "",
            labels=labels,
            run_key=idempotency_key or _key_of_this_task_run(),
            parent=context.get("flow_run_id", ""),
        )
    )
    get_run_logger().info("Asked for flow run %s of %s", run.flow_run_id, run.flow_name)
    return run.flow_run_id


@task
def wait_for_flow_run(
    flow_run_id: str,
    stream_states: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's order
    stream_logs: bool = False,  # noqa: FBT001, FBT002 - as above
    raise_final_state: bool = False,  # noqa: FBT001, FBT002 - as above
    max_duration: timedelta = timedelta(hours=12),
) -> FlowRun:
    """Wait until a flow run has ended, and tell of it meanwhile in this run's log.

    Args:
        flow_run_id: Which.
        stream_states: Log its changes of state.
        stream_logs: Log its lines too; only with ``stream_states``.
        raise_final_state: This task ends as that flow run did.
        max_duration: How long to wait.

    Returns:
        The flow run as it ended.

    Raises:
        FAIL: It did not end in time.
        Signal: With ``raise_final_state``.
    """
    run = _wait(
        flow_run_id, max_duration, states=stream_states, lines=stream_states and stream_logs
    )
    if raise_final_state:
        raise _signal(run)
    return run


@task
def get_task_run_result(
    flow_run_id: str, task_slug: str, map_index: int = -1, poll_time: float = 5
) -> Any:  # noqa: ANN401 - whatever that task returned
    """Wait until a flow run has ended, and return what one of its tasks returned.

    Args:
        flow_run_id: Which; not the one that this task belongs to.
        task_slug: The task's slug in it, such as ``"train-1"``.
        map_index: Which child of a mapped task; -1: a list of all.
        poll_time: Seconds between two looks, at most.

    Raises:
        InvalidInputError: It is this very flow run, or the slug is empty.
        NotFoundError: It has no such task run, or no result of it was kept.
    """
    if not task_slug:
        msg = "Give the task's slug in its flow, such as 'train-1': a task alone has none."
        raise InvalidInputError(msg)
    if context.get("flow_run_id") == flow_run_id:
        msg = (
            "The result is of this very flow run, which cannot end before this task has. Pass the "
            "task itself as an argument instead."
        )
        raise InvalidInputError(msg)
    _wait(flow_run_id, timedelta.max, states=False, lines=False, poll_s=poll_time)
    backend = get_recorder().backend
    found = {
        run.map_index: run
        for run in backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        if run.task_slug == task_slug
    }
    if map_index not in found:
        msg = f"Flow run {flow_run_id} has no task run {task_slug!r} with map index {map_index}."
        raise NotFoundError(msg)
    children = sorted(index for index in found if index >= 0)
    is_all = map_index < 0 and bool(children)
    values = []
    for index in children if is_all else [map_index]:
        if found[index].result == NOT_KEPT:
            msg = (
                f"No result of {task_slug!r} was kept in flow run {flow_run_id}: the task is "
                f"{found[index].state.value}."
            )
            raise NotFoundError(msg)
        values.append(load_reference(found[index].result, backend.open_blob))
    return values if is_all else values[0]


class StartFlowRun(Task):
    """Ask for a run of a registered flow, and wait for its end if that is wanted.

    Args:
        flow_name: The flow, whose newest version runs.
        project_name: Its project.
        parameters: Of the flow run; tasks cannot be among them here, but in the call.
        wait: Wait until it has ended, and end as it did.
        run_name: What it is called.
        scheduled_start_time: When it is due; at once by default.
        poll_interval: How long between two looks, at most.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        wait: bool = False,
        run_name: str | None = None,
        scheduled_start_time: datetime | None = None,
        poll_interval: timedelta = timedelta(seconds=5),
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        if any(isinstance(value, Task) for value in (parameters or {}).values()):
            msg = "Parameters that are tasks are given where the task is called in the flow."
            raise TypeError(msg)
        self.flow_name = flow_name
        self.project_name = project_name
        self.parameters = parameters
        self.wait = wait
        self.run_name = run_name
        self.scheduled_start_time = scheduled_start_time
        self.poll_interval = poll_interval
        if flow_name:
            options.setdefault("name", f"Flow {flow_name}")
        super().__init__(**options)

    def run(
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        idempotency_key: str | None = None,
        scheduled_start_time: datetime | None = None,
    ) -> str:
        """Ask; return the flow run's id.

        Raises:
            TypeError: The flow or its project is not named.
            Signal: With ``wait``: how the flow run ended, with it as the result.
        """
        flow_run_id = create_flow_run.run(
            flow_name=needed(self, "flow_name", flow_name, self.flow_name),
            project_name=needed(self, "project_name", project_name, self.project_name),
            parameters=dict((self.parameters if parameters is None else parameters) or {}),
            run_name=self.run_name if run_name is None else run_name,
            idempotency_key=idempotency_key,
            scheduled_start_time=scheduled_start_time or self.scheduled_start_time,
        )
        if not self.wait:
            return flow_run_id
        poll_s = self.poll_interval.total_seconds()
        raise _signal(_wait(flow_run_id, timedelta.max, states=True, lines=False, poll_s=poll_s))


class CancelFlowRun(Task):
    """Ask for the end of a flow run.

    Args:
        flow_run_id: Which; the one that the task belongs to by default.
        **options: As ``Task`` has them.
    """

    def __init__(self, flow_run_id: str | None = None, **options: Any) -> None:  # noqa: ANN401
        self.flow_run_id = flow_run_id
        super().__init__(**options)

    def run(self, flow_run_id: str | None = None) -> bool:
        """Ask; tell whether there was anything to cancel."""
        wanted = needed(
            self, "flow_run_id", flow_run_id or self.flow_run_id, context.get("flow_run_id")
        )
        backend = get_recorder().backend
        if backend.call(GetFlowRun(flow_run_id=wanted)).state.is_finished:
            return False
        reason = f"cancelled by the task {context.get('task_slug', self.name)}"
        backend.call(CancelOperation(flow_run_id=wanted, reason=reason))
        return True


class RenameFlowRun(Task):
    """Give a flow run another name.

    Args:
        flow_run_id: Which; the one that the task belongs to by default.
        flow_run_name: The name.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        flow_run_id: str | None = None,
        flow_run_name: str | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.flow_run_id = flow_run_id
        self.flow_run_name = flow_run_name
        super().__init__(**options)

    def run(self, flow_run_id: str | None = None, flow_run_name: str | None = None) -> bool:
        """Rename it.

        Raises:
            TypeError: There is no name, or no flow run that is meant.
        """
        wanted = needed(
            self, "flow_run_id", flow_run_id or self.flow_run_id, context.get("flow_run_id")
        )
        name = needed(self, "flow_run_name", flow_run_name, self.flow_run_name)
        get_recorder().backend.call(UpdateFlowRun(flow_run_id=wanted, name=name))
        return True


def _project_of(backend: Backend, flow_name: str, project: str) -> str:
    if project:
        return project
    projects = [each.project for each in backend.call(ListFlows()) if each.name == flow_name]
    if len(projects) == 1:
        return projects[0]
    if projects:
        names = ", ".join(sorted(projects))
        msg = f"Flows of several projects are called {flow_name!r}: {names}. Give project_name."
        raise InvalidInputError(msg)
    msg = f"No flow is called {flow_name!r}. `loopline flows list` shows those that there are."
    raise NotFoundError(msg)


def _due_ms(wanted: datetime | timedelta | None) -> int:
    if wanted is None:
        return 0
    if isinstance(wanted, timedelta):
        wanted = datetime.now(UTC) + wanted
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=UTC)
    return int(wanted.timestamp() * 1000)


def _key_of_this_task_run() -> str:
    if "task_slug" not in context:
        return ""
    return f"{context['flow_run_id']}/{context['task_slug']}/{context['map_index']}"


def _wait(
    flow_run_id: str,
    at_most: timedelta,
    *,
    states: bool,
    lines: bool,
    poll_s: float = _LONGEST_POLL_S,
) -> FlowRun:
    """Look until a flow run has ended; a store that is away for a while is waited for, too."""
    backend = get_recorder().backend
    logger = get_run_logger()
    patience = Patience(first_s=min(0.2, poll_s), longest_s=poll_s)
    told = _Told(backend, flow_run_id, states=states, lines=lines)
    began = time.monotonic()
    looks = 0
    while True:
        looks += 1
        try:
            run = backend.call(GetFlowRun(flow_run_id=flow_run_id))
            for level, line in told.news():
                logger.log(level, "%s: %s", run.name or run.flow_name, line)
            if run.state.is_finished:
                return run
        except BackendUnavailableError as error:
            if looks == 1:
                raise
            logger.warning("Waiting for the store: %s", error)
        if time.monotonic() - began >= at_most.total_seconds():
            msg = f"Flow run {flow_run_id} has not ended in {at_most}."
            raise FAIL(msg)
        pause(patience.pause_s(looks))


class _Told:
    """What was already told of a flow run."""

    def __init__(self, backend: Backend, flow_run_id: str, *, states: bool, lines: bool) -> None:
        self._backend = backend
        self._flow_run_id = flow_run_id
        self._states = states
        self._lines = lines
        self._event = 0
        self._position = 0

    def news(self) -> Iterator[tuple[int, str]]:
        """Give what is new: levels and lines."""
        if self._states:
            events = self._backend.call(
                ListFlowRunEvents(flow_run_id=self._flow_run_id, after=self._event)
            )
            for event in events:
                what = f"{event.task_slug} is " if event.task_slug else ""
                why = f": {event.message}" if event.message else ""
                yield 20, f"{what}{event.state.value}{why}"
                self._event = event.position
        while self._lines:
            lines = self._backend.call(
                GetLogs(flow_run_id=self._flow_run_id, after=self._position, limit=_LINES)
            )
            for line in lines:
                yield line.level, line.message
            if not lines:
                break
            self._position = lines[-1].position


def _signal(run: FlowRun) -> Signal:
    message = f"Flow run {run.flow_run_id} ended as {run.state.value}"
    message += f": {run.message}" if run.message else "."
    if run.state is StateKind.SKIPPED:
        return SKIP(message, result=run)
    return (SUCCESS if run.state.is_successful else FAIL)(message, result=run)
