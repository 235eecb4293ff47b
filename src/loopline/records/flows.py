"""Records of flows: graphs, versions, schedules, flow runs, task runs, leases, logs."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from loopline.records.base import Record
from loopline.records.schedules import CronClock, IntervalClock, ScheduleSpec
from loopline.records.vm import VMRun

__all__ = [
    "CronClock",
    "FlowCode",
    "FlowGraph",
    "FlowRun",
    "FlowRunEvent",
    "FlowRunLease",
    "FlowRunPage",
    "FlowSummary",
    "FlowVersion",
    "GraphEdge",
    "GraphTask",
    "IntervalClock",
    "LogLine",
    "Origin",
    "ParameterSpec",
    "ScheduleSpec",
    "StateKind",
    "TaskRun",
]


class StateKind(StrEnum):
    """Where a flow run or task run stands, in Prefect 1's words."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PAUSED = "Paused"
    RESUME = "Resume"
    QUEUED = "Queued"
    SUBMITTED = "Submitted"
    CLIENT_FAILED = "ClientFailed"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    RETRYING = "Retrying"
    LOOPED = "Looped"
    FINISHED = "Finished"
    SUCCESS = "Success"
    CACHED = "Cached"
    MAPPED = "Mapped"
    SKIPPED = "Skipped"
    FAILED = "Failed"
    TRIGGER_FAILED = "TriggerFailed"
    TIMED_OUT = "TimedOut"
    VALIDATION_FAILED = "ValidationFailed"
    CANCELLED = "Cancelled"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen by itself; one that is looped goes on."""
        return self.is_successful or self.is_failed or self is StateKind.FINISHED

    @property
    def is_successful(self) -> bool:
        """Whether tasks after this one may run under the default trigger."""
        return self in {StateKind.SUCCESS, StateKind.CACHED, StateKind.MAPPED, StateKind.SKIPPED}

    @property
    def is_failed(self) -> bool:
        """Whether it ended badly."""
        return self in {
            StateKind.FAILED,
            StateKind.TRIGGER_FAILED,
            StateKind.TIMED_OUT,
            StateKind.VALIDATION_FAILED,
            StateKind.CANCELLED,
        }


class Origin(StrEnum):
    """What started a flow run."""

    PERSON = "person"
    SCHEDULE = "schedule"
    AUTOMATION = "automation"
    EVENT = "event"
    FLOW_RUN = "flow_run"


class ParameterSpec(Record, frozen=True, kw_only=True):
    """A parameter of a flow.

    Attributes:
        default: Plain data; counts only when no value is required.
        type: What its values are: ``"int"``, ``"float"``, ``"bool"``, ``"str"``, ``"list"``,
            ``"dict"``, ``"date"`` or ``"datetime"``; empty: anything.
        choices: Its only values, where there are few; plain data.
        is_optional: Whether None is one of its values, too.
        is_guessed: Nobody said the type; it is the default's, so None is taken, and any number
            for an ``int``.
    """

    name: str
    required: bool = False
    default: Any = None
    type: str = ""
    choices: list[Any] = []
    is_optional: bool = False
    is_guessed: bool = False


class GraphTask(Record, frozen=True, kw_only=True):
    """A task of a flow's graph, as data: enough to draw and to check it, not to run it.

    Attributes:
        slug: Unique in the flow, such as ``"train_model-1"``.
        kind: ``"task"``, ``"parameter"`` or ``"constant"``.
        trigger: Name of the trigger, such as ``"all_successful"``.
        retry_delays_s: Seconds to wait before each retry; its length is the number of retries.
        skip_on_upstream_skip: Skipped, too, when a task before it was skipped.
        has_handlers: Whether somebody is asked about each change of its state.
    """

    slug: str
    name: str
    kind: str = "task"
    is_mapped: bool = False
    trigger: str = "all_successful"
    retry_delays_s: list[float] = []
    timeout_s: float | None = None
    tags: list[str] = []
    skip_on_upstream_skip: bool = True
    has_handlers: bool = False


class GraphEdge(Record, frozen=True, kw_only=True):
    """A dependency: ``downstream`` runs after ``upstream`` and, with a key, takes its result.

    Attributes:
        is_mapped: Each child takes an element, or the result of one child, as soon as it is there.
        is_flattened: Each child takes an element of an element, once all are there.
    """

    upstream: str
    downstream: str
    key: str = ""
    is_mapped: bool = False
    is_flattened: bool = False


class FlowGraph(Record, frozen=True, kw_only=True):
    """The tasks of a flow in the order they were added, and their dependencies.

    Attributes:
        reference_tasks: Slugs of the tasks that decide the flow run's state; empty: the last ones.
    """

    tasks: list[GraphTask] = []
    edges: list[GraphEdge] = []
    parameters: list[ParameterSpec] = []
    reference_tasks: list[str] = []


class FlowCode(Record, frozen=True, kw_only=True):
    """How a worker gets the flow object; the server stores it and never runs it.

    Attributes:
        kind: ``"pickle"`` (cloudpickle by value) or ``"import"`` (module and attribute).
        blob: SHA-256 of the pickle: of the flow or, for ``"import"``, of its executor alone.
        bundle: SHA-256 of a zip of local modules that go on ``sys.path``; empty: none.
        entry: ``"module:attribute"`` for ``"import"``.
        python: Minor version that a pickle needs, such as ``"3.11"``.
        folder: Where it was registered; a worker on the same machine may use it as a hint.
        requirements: Installed packages that it imports, as pip reads them.
        vm: The cloud machine that each of its runs gets; None: it runs where the worker is.
        variables: Environment variables of the process of each run, besides the worker's own.
        working_dir: Folder in which each run's process runs; empty: the worker's.
    """

    kind: str
    blob: str = ""
    bundle: str = ""
    entry: str = ""
    python: str = ""
    folder: str = ""
    requirements: list[str] = []
    vm: VMRun | None = None
    variables: dict[str, str] = {}
    working_dir: str = ""


class FlowVersion(Record, frozen=True, kw_only=True):
    """One registered version of a flow; equal fingerprints are the same version.

    Attributes:
        labels: What a worker must have to take its runs.
        resume: What happens when the worker of a run dies: ``"continue"`` from its finished
            tasks, ``"restart"`` from its first, or ``"no"``: it has failed.
    """

    flow_version_id: str
    project: str
    name: str
    version: int
    fingerprint: str
    graph: FlowGraph
    schedule: ScheduleSpec | None = None
    schedule_active: bool = True
    code: FlowCode | None = None
    environment: dict[str, str] = {}
    labels: list[str] = []
    resume: str = "continue"
    created_ms: int
    is_new: bool = False


class FlowSummary(Record, frozen=True, kw_only=True):
    """A flow as a list shows it.

    Attributes:
        recent: Its newest flow runs, newest first.
        next_ms: Unix time in milliseconds of the next scheduled run, or None.
        most_runs: So many of its runs at a time; 0: as many as there are slots.
    """

    project: str
    name: str
    version: int
    flow_version_id: str
    schedule: ScheduleSpec | None = None
    schedule_active: bool = True
    created_ms: int
    labels: list[str] = []
    most_runs: int = 0
    recent: list[FlowRun] = []
    next_ms: int | None = None


class FlowRun(Record, frozen=True, kw_only=True):
    """One run of a flow.

    Attributes:
        flow_version_id: The registered version, or empty for ``flow.run()``.
        scheduled_ms: Unix time in milliseconds it is due.
        is_automatic: Whether a schedule made it (at most one a flow and due time).
        token: Fencing token: rises with every claim, records under an older one are refused.
        worker: Who holds or held it.
        lease_until_ms: Unix time in milliseconds the lease ends; 0 when nobody holds it.
        cancel_requested: Whether somebody asked it to stop.
        pause_requested: Whether somebody asked it to start no more tasks.
        labels: What a worker must have to take it.
        priority: Of the runs that are due the one with the greatest number goes first.
        note: What people wrote about it.
        resume: As of its version.
        is_late: Whether it waited for longer than it should when somebody looked last.
        waits_for: Why it is not running yet, in words; empty: nothing is known.
        origin: What started it: a person, its schedule, an automation, an event that its flow is
            triggered by, or another flow run.
        started_by: The person's name, as far as it is known; the automation's name; the event;
            the other flow run's id.
    """

    flow_run_id: str
    name: str = ""
    project: str = ""
    flow_name: str
    flow_version_id: str = ""
    parameters: dict[str, Any] = {}
    state: StateKind = StateKind.SCHEDULED
    message: str = ""
    scheduled_ms: int
    created_ms: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    is_automatic: bool = False
    token: int = 0
    worker: str = ""
    lease_until_ms: int = 0
    cancel_requested: bool = False
    pause_requested: bool = False
    labels: list[str] = []
    priority: int = 0
    note: str = ""
    resume: str = "continue"
    is_late: bool = False
    waits_for: str = ""
    origin: Origin = Origin.PERSON
    started_by: str = ""


class FlowRunPage(Record, frozen=True, kw_only=True):
    """Some flow runs, newest first."""

    flow_runs: list[FlowRun]
    next_page_token: str = ""


class FlowRunEvent(Record, frozen=True, kw_only=True):
    """One change of state of a flow run or, with a slug, of a task run.

    Attributes:
        position: Its place in the history: what comes later has a greater one.
    """

    at_ms: int
    state: StateKind
    message: str = ""
    task_slug: str = ""
    map_index: int = -1
    attempt: int = 0
    actor: str = ""
    position: int = 0


class TaskRun(Record, frozen=True, kw_only=True):
    """One task in one flow run.

    Attributes:
        map_index: -1 for a task that is not mapped, else the child's index.
        attempt: Runs so far, counted from 1; 0 before the first.
        result: SHA-256 of the result's bytes in the blob store; ``"none"``: it is None;
            ``"inline:"`` and base64: the bytes themselves; empty: no result kept.
        name: Its own name, where ``task_run_name`` gave it one; empty: its task's.
        until_ms: Unix time in milliseconds at which it goes on by itself, of one that is tried
            again later or paused until then; 0: none.
    """

    flow_run_id: str
    task_slug: str
    map_index: int = -1
    state: StateKind = StateKind.PENDING
    message: str = ""
    attempt: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    result: str = ""
    name: str = ""
    until_ms: int = 0


class FlowRunLease(Record, frozen=True, kw_only=True):
    """A worker's hold on a flow run, with all it needs to run it."""

    flow_run: FlowRun
    flow_version: FlowVersion
    task_runs: list[TaskRun] = []
    token: int
    lease_until_ms: int


class LogLine(Record, frozen=True, kw_only=True):
    """One line of a flow run's log.

    Attributes:
        map_index: Which element of a mapped task wrote it; -1: none.
        position: Its place in the flow run's log, counted from 1; 0 before it is stored.
        level: Python's number: 10 debug, 20 info, 30 warning, 40 error.
    """

    flow_run_id: str
    task_slug: str = ""
    map_index: int = -1
    at_ms: int
    level: int = 20
    message: str
    position: int = 0
