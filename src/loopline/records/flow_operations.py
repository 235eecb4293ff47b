"""Operations on flow runs, limits and workers: rows of the table of operations."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.base import Record
from loopline.records.flows import FlowRun
from loopline.records.operation import Operation

__all__ = [
    "CheckWork",
    "CloseLostFlowRuns",
    "GiveTaskSlots",
    "ListTagLimits",
    "ListWorkers",
    "PauseFlowRun",
    "ReportWorker",
    "RerunFlowRun",
    "ResumeFlowRun",
    "RetryFlowRun",
    "SetFlowLimit",
    "SetTagLimit",
    "TagLimit",
    "TakeTaskSlots",
    "UpdateFlowRun",
    "WorkNews",
    "WorkerInfo",
]


class TagLimit(Record, frozen=True, kw_only=True):
    """Of the tasks with a tag only so many run at a time, in all flow runs together.

    Attributes:
        most: How many.
        taken: How many run now.
    """

    tag: str
    most: int
    taken: int = 0


class WorkerInfo(Record, frozen=True, kw_only=True):
    """A worker that was heard of.

    Attributes:
        slots: How many flow runs it has at a time.
        labels: It takes flow runs that need no other labels.
        status: ``"working"``, ``"draining"`` (it takes nothing more), ``"stopped"``, or ``"lost"``:
            it said nothing for longer than it should.
        flow_runs: Ids of what it runs.
    """

    worker_id: str
    name: str
    host: str = ""
    pid: int = 0
    slots: int
    labels: list[str] = []
    status: str
    started_ms: int
    last_seen_ms: int
    flow_runs: list[str] = []


class WorkNews(Record, frozen=True, kw_only=True):
    """What a worker should know.

    Attributes:
        due_in_ms: Milliseconds until the next flow run that it may take is due, 0 or less: now;
            None: there is none.
        cancel: Flow runs in its hands that somebody wants cancelled.
        pause: Flow runs in its hands that shall start no more tasks.
    """

    due_in_ms: int | None = None
    cancel: list[str] = []
    pause: list[str] = []


# --- flow runs ----------------------------------------------------------------------------------


class RetryFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Go on with a failed or cancelled flow run: what did not succeed runs again, and what follows.

    Attributes:
        actor: Who asks, for the history.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    reason: str = ""
    actor: str = ""


class RerunFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Run a finished flow run again, from some tasks on or from scratch.

    Attributes:
        from_tasks: Slugs or names of tasks: they and all that follows run again. Empty: all tasks.
        actor: Who asks, for the history.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    from_tasks: list[str] = []
    reason: str = ""
    actor: str = ""


class PauseFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Pause a flow run: at once when nobody runs it, else when the tasks that run have ended."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    reason: str = ""
    actor: str = ""


class ResumeFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Go on with a paused flow run; what a task paused for is approved by that.

    Attributes:
        tasks: Slugs or names of paused tasks that are approved; empty: all of them.
        actor: Who approves, for the history.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    tasks: list[str] = []
    reason: str = ""
    actor: str = ""


class UpdateFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Change what people say of a flow run; None leaves a field as it is.

    Attributes:
        priority: -1,000 to 1,000.
        labels: Of a run that nobody has yet.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    name: str | None = None
    note: str | None = None
    priority: int | None = None
    labels: list[str] | None = None


class CloseLostFlowRuns(Operation[list[str]], frozen=True, kw_only=True):
    """Note whose workers are gone, and which flow runs wait for too long; answers the lost ones.

    A flow run whose lease ran out has failed: it is lost. As its version says it then waits for
    another worker, or that was it.

    Attributes:
        late_s: A flow run is late that is due for so many seconds and nobody has it.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    late_s: float = 15.0


# --- limits -------------------------------------------------------------------------------------


class SetFlowLimit(Operation[int], frozen=True, kw_only=True):
    """Let at most so many runs of a flow run at a time; 0: as many as there are slots."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    project: str
    name: str
    most: int


class SetTagLimit(Operation[TagLimit], frozen=True, kw_only=True):
    """Let at most so many tasks with a tag run at a time; 0: as many as there are slots."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    tag: str
    most: int


class ListTagLimits(Operation[list[TagLimit]], frozen=True, kw_only=True):
    """List the tags that have a limit."""


class TakeTaskSlots(Operation[str], frozen=True, kw_only=True):
    """Take a slot of each limited tag for a task; answers why it must wait, or nothing.

    It gets all of them or none. They are free again when the task gives them back, when its flow
    run is over, and when whoever holds that is gone.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    flow_run_id: str
    task_slug: str
    map_index: int = -1
    token: int = 0
    tags: list[str]


class GiveTaskSlots(Operation[None], frozen=True, kw_only=True):
    """Give the slots of a task back."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    flow_run_id: str
    task_slug: str
    map_index: int = -1
    token: int = 0


# --- workers ------------------------------------------------------------------------------------


class CheckWork(Operation[WorkNews], frozen=True, kw_only=True):
    """Ask whether there is something to do. A few index look-ups: workers ask all the time.

    Attributes:
        labels: What the worker has.
        holding: Flow runs in its hands.
    """

    permission: ClassVar[str] = "work"
    labels: list[str] = []
    holding: list[str] = []


class ReportWorker(Operation[None], frozen=True, kw_only=True):
    """Say that a worker is there, and what it is like."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    worker_id: str
    name: str
    host: str = ""
    pid: int = 0
    slots: int = 1
    labels: list[str] = []
    status: str = "working"


class ListWorkers(Operation[list[WorkerInfo]], frozen=True, kw_only=True):
    """List the workers that were heard of in the last hour, by name."""

    permission: ClassVar[str] = "view"
