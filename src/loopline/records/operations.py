"""The table of operations: every question and command there is, written once.

An operation is a request whose class says what it answers, whether it changes anything and
which permission it needs. Native routes, the OpenAPI document and the HTTP client derive from
``OPERATIONS``; ``loopline.store.operations`` has the one function that carries each out.

A *query* reads. A *command* changes something, is answered at once or not at all, and carries
an idempotency key so that sending it again cannot do it twice. What needs no answer is no
operation but a fact (``loopline.records.facts``).

Longer than 500 lines because it is one table, whose rows are read beside each other.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, get_args

from loopline.records.automations import (
    CreateAutomation,
    DeleteAutomation,
    FlowTrigger,
    ListAutomations,
    ListFirings,
    SetAutomationActive,
)
from loopline.records.decisions import (
    AnswerDecision,
    GetDecision,
    ListDecisions,
    RecordDecision,
    RollBack,
)
from loopline.records.experiment_operations import (
    CopyRun,
    CreateExperiment,
    DeleteExperiment,
    EnsureExperiment,
    GetExperiment,
    ListExperiments,
    MoveRuns,
    RemoveExperimentTag,
    RenameExperiment,
    RestoreExperiment,
    SearchExperiments,
    SetExperimentTags,
)
from loopline.records.facts import Fact
from loopline.records.feeds import (
    AddArrival,
    DeleteFeed,
    EnsureFeed,
    GetFeed,
    ListArrivals,
    ListFeeds,
    ListRefusals,
    RefuseBatch,
)
from loopline.records.flow_artifacts import ListFlowArtifacts
from loopline.records.flow_operations import (
    CheckWork,
    CloseLostFlowRuns,
    GiveTaskSlots,
    ListTagLimits,
    ListWorkers,
    PauseFlowRun,
    ReportWorker,
    RerunFlowRun,
    ResumeFlowRun,
    RetryFlowRun,
    SetFlowLimit,
    SetTagLimit,
    TakeTaskSlots,
    UpdateFlowRun,
)
from loopline.records.flows import (
    FlowCode,
    FlowGraph,
    FlowRun,
    FlowRunEvent,
    FlowRunLease,
    FlowRunPage,
    FlowSummary,
    FlowVersion,
    LogLine,
    ScheduleSpec,
    StateKind,
    TaskRun,
)
from loopline.records.identity_operations import (
    AddUser,
    ChangeUser,
    CreateToken,
    InviteUser,
    ListAudit,
    ListGrants,
    ListTokens,
    ListUsers,
    RemoveUser,
    RevokeToken,
    SetGrant,
    VerifyAudit,
    WhoAmI,
)
from loopline.records.key_values import (
    DeleteKeyValue,
    FindKeyValues,
    GetKeyValue,
    SetKeyValue,
)
from loopline.records.lineage import DatasetSnapshot, DataUses, ReadDataset
from loopline.records.lineage_operations import ExplainVersion, GetLineage
from loopline.records.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    FinishLoggedModel,
    GetLoggedModel,
    ListLoggedModelFiles,
    ListRunModels,
    ListRunUses,
    LogLoggedModelParams,
    RemoveLoggedModelTag,
    SearchLoggedModels,
    SetLoggedModelTags,
)
from loopline.records.operation import Operation
from loopline.records.policies import DeletePolicy, GetPolicy, ListPolicies, SetPolicy
from loopline.records.project_operations import (
    CreateProject,
    DeleteProject,
    GetProject,
    ListFlowVersions,
    ListProjects,
    UpdateProject,
)
from loopline.records.registry_operations import (
    AddStage,
    CopyVersion,
    CreateModel,
    DeleteModel,
    DeleteVersion,
    GetLatestVersions,
    GetModel,
    GetVersion,
    ListModels,
    ListVersionEvents,
    ListVersions,
    RegisterVersion,
    RemoveAlias,
    RemoveModelTag,
    RemoveStage,
    RemoveVersionTag,
    RenameModel,
    ResolveModel,
    SearchModels,
    SearchVersions,
    SetAlias,
    SetModelTags,
    SetVersionTags,
    TakeFiles,
    TransitionStage,
    UpdateModel,
    UpdateVersion,
)
from loopline.records.schedule_operations import AddDueTimes, ListOwnSchedules
from loopline.records.secrets import DeleteSecret, GetSecret, ListSecrets, SetSecret
from loopline.records.tracking import (
    Artifact,
    MetricColumns,
    MetricHistory,
    RefusedFact,
    Run,
    RunEvent,
    RunInput,
    RunPage,
    RunTable,
)
from loopline.records.transfer_operations import (
    DescribeLoggedModels,
    DescribeRuns,
    ImportExperiment,
    ImportLoggedModel,
    ImportModel,
    ImportVersion,
    SettleRuns,
)
from loopline.records.webhooks import (
    CreateWebhook,
    DeleteWebhook,
    GetWebhook,
    ListWebhookDeliveries,
    ListWebhooks,
    UpdateWebhook,
)

__all__ = [
    "OPERATIONS",
    "AddArrival",
    "AddDueTimes",
    "AddStage",
    "AddUser",
    "AnswerDecision",
    "ChangeUser",
    "CheckWork",
    "CloseLostFlowRuns",
    "CopyRun",
    "CopyVersion",
    "CreateAutomation",
    "CreateExperiment",
    "CreateLoggedModel",
    "CreateModel",
    "CreateProject",
    "CreateToken",
    "CreateWebhook",
    "DeleteArtifacts",
    "DeleteAutomation",
    "DeleteExperiment",
    "DeleteFeed",
    "DeleteKeyValue",
    "DeleteLoggedModel",
    "DeleteModel",
    "DeletePolicy",
    "DeleteProject",
    "DeleteSecret",
    "DeleteVersion",
    "DeleteWebhook",
    "DescribeLoggedModels",
    "DescribeRuns",
    "EnsureExperiment",
    "EnsureFeed",
    "ExplainVersion",
    "FindKeyValues",
    "FinishLoggedModel",
    "GetDecision",
    "GetExperiment",
    "GetFeed",
    "GetKeyValue",
    "GetLatestVersions",
    "GetLineage",
    "GetLoggedModel",
    "GetModel",
    "GetPolicy",
    "GetProject",
    "GetSecret",
    "GetVersion",
    "GetWebhook",
    "GiveTaskSlots",
    "ImportExperiment",
    "ImportLoggedModel",
    "ImportModel",
    "ImportVersion",
    "InviteUser",
    "ListArrivals",
    "ListAudit",
    "ListAutomations",
    "ListDecisions",
    "ListExperiments",
    "ListFeeds",
    "ListFirings",
    "ListFlowArtifacts",
    "ListFlowVersions",
    "ListGrants",
    "ListLoggedModelFiles",
    "ListModels",
    "ListOwnSchedules",
    "ListPolicies",
    "ListProjects",
    "ListRefusals",
    "ListRunModels",
    "ListRunUses",
    "ListSecrets",
    "ListTagLimits",
    "ListTokens",
    "ListUsers",
    "ListVersionEvents",
    "ListVersions",
    "ListWebhookDeliveries",
    "ListWebhooks",
    "ListWorkers",
    "LogLoggedModelParams",
    "MoveRuns",
    "Operation",
    "PauseFlowRun",
    "RecordDecision",
    "RefuseBatch",
    "RegisterVersion",
    "RemoveAlias",
    "RemoveExperimentTag",
    "RemoveLoggedModelTag",
    "RemoveModelTag",
    "RemoveStage",
    "RemoveUser",
    "RemoveVersionTag",
    "RenameExperiment",
    "RenameModel",
    "ReportWorker",
    "RerunFlowRun",
    "ResolveModel",
    "RestoreExperiment",
    "ResumeFlowRun",
    "RetryFlowRun",
    "RevokeToken",
    "RollBack",
    "SearchExperiments",
    "SearchLoggedModels",
    "SearchModels",
    "SearchVersions",
    "SetAlias",
    "SetAutomationActive",
    "SetExperimentTags",
    "SetFlowLimit",
    "SetGrant",
    "SetKeyValue",
    "SetLoggedModelTags",
    "SetModelTags",
    "SetPolicy",
    "SetSecret",
    "SetTagLimit",
    "SetVersionTags",
    "SettleRuns",
    "TakeFiles",
    "TakeTaskSlots",
    "TransitionStage",
    "UpdateFlowRun",
    "UpdateModel",
    "UpdateProject",
    "UpdateVersion",
    "UpdateWebhook",
    "VerifyAudit",
    "WhoAmI",
    "name_of",
]


# --- runs --------------------------------------------------------------------------------------


class GetRun(Operation[Run], frozen=True, kw_only=True):
    """Get a run with its params, tags and metric summaries."""

    run_id: str


class SearchRuns(Operation[RunPage], frozen=True, kw_only=True):
    """Search runs by a filter, in order, a page at a time.

    Attributes:
        experiment_ids: Where to look; together with ``experiment_names``; both empty: everywhere.
        filter: MLflow's filter language, with OR, NOT and parentheses.
        order_by: Such as ``["metrics.rmse ASC", "start_time DESC"]``.
        max_results: 1 to 50,000.
        page_token: From the page before.
        lifecycle: ``"active"``, ``"deleted"`` or ``"all"``.
        with_uses: Tell also what the runs read and made.
    """

    experiment_ids: list[str] = []
    experiment_names: list[str] = []
    filter: str = ""
    order_by: list[str] = []
    max_results: int = 1000
    page_token: str = ""
    lifecycle: str = "active"
    with_uses: bool = False


class CountRuns(Operation[int], frozen=True, kw_only=True):
    """Count the runs that ``SearchRuns`` would find on all its pages.

    Costs grow with the runs that the most selective indexed condition leaves, else with those of
    the experiments.
    """

    experiment_ids: list[str] = []
    experiment_names: list[str] = []
    filter: str = ""
    lifecycle: str = "active"


class SearchRunTable(Operation[RunTable], frozen=True, kw_only=True):
    """Search runs as ``SearchRuns`` does, and answer columns: for tables of many thousands.

    Attributes:
        columns: Such as ``["metrics.rmse", "params.model"]``; empty: all there are.
    """

    experiment_ids: list[str] = []
    experiment_names: list[str] = []
    filter: str = ""
    order_by: list[str] = []
    max_results: int = 1000
    page_token: str = ""
    lifecycle: str = "active"
    columns: list[str] = []


class DeleteRun(Operation[Run], frozen=True, kw_only=True):
    """Soft-delete a run."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    run_id: str


class RestoreRun(Operation[Run], frozen=True, kw_only=True):
    """Undo a deletion."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    run_id: str


class RecordFacts(Operation[None], frozen=True, kw_only=True):
    """Take facts at once, all of them or none: for who has no journal and waits for the answer.

    What they are of must be there, but for a run that they start.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    facts: list[Fact]


class GetMetricHistory(Operation[MetricHistory], frozen=True, kw_only=True):
    """Get the points of one metric; with ``max_points`` reduced so that extremes survive."""

    run_id: str
    key: str
    max_points: int = 0


class GetMetricColumns(Operation[MetricColumns], frozen=True, kw_only=True):
    """Get the points of one metric as packed columns, for histories too long for lists."""

    run_id: str
    key: str
    max_points: int = 0


class ListArtifacts(Operation[list[Artifact]], frozen=True, kw_only=True):
    """List what lies in a folder of a run; ``recursive`` lists every file below it."""

    run_id: str
    path: str = ""
    recursive: bool = False


class DeleteArtifacts(Operation[int], frozen=True, kw_only=True):
    """Take back files of a run or logged model; answers how many.

    Attributes:
        run_id: Of the run; empty: they are of the logged model.
        model_id: Of the logged model.
        path: A file, or a folder with all below it; empty: all there are.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    run_id: str = ""
    model_id: str = ""
    path: str = ""


class ListInputs(Operation[list[RunInput]], frozen=True, kw_only=True):
    """List the data versions a run read."""

    run_id: str


class ListRunEvents(Operation[list[RunEvent]], frozen=True, kw_only=True):
    """List the changes of a run's status, oldest first."""

    run_id: str


class ListRefused(Operation[list[RefusedFact]], frozen=True, kw_only=True):
    """List what was refused of a run, oldest first."""

    run_id: str


class Heartbeat(Operation[int], frozen=True, kw_only=True):
    """Say that a writer is alive; answers the position acknowledged so far (0: unknown writer)."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    writer: str
    host: str = ""
    pid: int = 0


class CloseLostRuns(Operation[list[str]], frozen=True, kw_only=True):
    """Close as FAILED the running runs whose writers are all gone; answers their ids.

    Attributes:
        writer: A writer known to be dead: only its runs. Empty: every writer not heard of
            for ``silent_s`` seconds.
        reason: Why, in words.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    writer: str = ""
    silent_s: float = 30.0
    reason: str = ""


# --- data -------------------------------------------------------------------------------------


class GetDataUses(Operation[DataUses], frozen=True, kw_only=True):
    """Tell which runs and which model versions used a data version.

    Attributes:
        digests: The version's digest, or several that stand for the same data; the first 8 or
            more digits are enough when no other data version begins with them.
        limit: At most so many runs and so many versions, 1 to 10,000.
    """

    digests: list[str]
    limit: int = 1000


class FindSnapshot(Operation[DatasetSnapshot | None], frozen=True, kw_only=True):
    """Find the kept bytes of a data version; None when nobody kept them.

    Attributes:
        digest: The version's digest, or its first 8 or more digits.
    """

    digest: str


class ListDatasets(Operation[list[ReadDataset]], frozen=True, kw_only=True):
    """List the data versions that active runs of some experiments read, by experiment and name.

    Attributes:
        experiment_ids: Where to look; empty: everywhere.
        limit: At most so many, 1 to 10,000.
    """

    experiment_ids: list[str] = []
    limit: int = 1000


# --- flows ------------------------------------------------------------------------------------


class RegisterFlow(Operation[FlowVersion], frozen=True, kw_only=True):
    """Store a version of a flow; an unchanged fingerprint answers the version there is.

    Attributes:
        labels: What a worker must have to take its runs.
        resume: ``"continue"``, ``"restart"`` or ``"no"``: what happens when a worker dies.
        triggers: What runs it from now on, instead of what did until now.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    project: str
    name: str
    fingerprint: str
    graph: FlowGraph
    schedule: ScheduleSpec | None = None
    schedule_active: bool = True
    code: FlowCode
    environment: dict[str, str] = {}
    labels: list[str] = []
    resume: str = "continue"
    triggers: list[FlowTrigger] = []


class ListFlows(Operation[list[FlowSummary]], frozen=True, kw_only=True):
    """List flows with their newest version, by project and name."""

    project: str = ""


class GetFlow(Operation[FlowVersion], frozen=True, kw_only=True):
    """Get a flow version by its id, or the newest one by project and name."""

    flow_version_id: str = ""
    project: str = ""
    name: str = ""


class SetScheduleActive(Operation[FlowVersion], frozen=True, kw_only=True):
    """Switch a flow's schedule on or off."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    project: str
    name: str
    active: bool


class CreateFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Ask for a run of a registered flow, now or at ``scheduled_ms``.

    Attributes:
        labels: What a worker must have to take it; None: what the flow says.
        priority: -1,000 to 1,000; of the runs that are due the greatest goes first.
        run_key: Asking again under the same, ever, answers the flow run that there is.
        actor: Who asks; a server that knows who it is goes by that.
        parent: Id of the flow run that asks, when one does.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    project: str = ""
    name: str = ""
    flow_version_id: str = ""
    parameters: dict[str, Any] = {}
    scheduled_ms: int = 0
    run_name: str = ""
    labels: list[str] | None = None
    priority: int = 0
    note: str = ""
    run_key: str = ""
    actor: str = ""
    parent: str = ""


class ListFlowRuns(Operation[FlowRunPage], frozen=True, kw_only=True):
    """List flow runs, newest due time first.

    Attributes:
        project: Only of this project; empty: of all, and those that belong to none.
        with_unregistered: With a project: also the runs of ``flow.run()``, which belong to none.
    """

    project: str = ""
    with_unregistered: bool = False
    flow_name: str = ""
    states: list[StateKind] = []
    max_results: int = 100
    page_token: str = ""


class GetFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Get a flow run."""

    flow_run_id: str


class GetFlowRunGraph(Operation[FlowGraph], frozen=True, kw_only=True):
    """Get the graph a flow run follows."""

    flow_run_id: str


class ListTaskRuns(Operation[list[TaskRun]], frozen=True, kw_only=True):
    """List the task runs of a flow run in the order they first changed state."""

    flow_run_id: str


class ListFlowRunEvents(Operation[list[FlowRunEvent]], frozen=True, kw_only=True):
    """List changes of state of a flow run and its tasks, oldest first.

    Attributes:
        after: Only changes after this position; 0: from the first.
        limit: At most this many; 0: all.
        newest: When there are more than ``limit``: the newest of them, and not the oldest.
    """

    flow_run_id: str
    after: int = 0
    limit: int = 0
    newest: bool = False


class GetLogs(Operation[list[LogLine]], frozen=True, kw_only=True):
    """Get log lines of a flow run after a position, oldest first.

    Attributes:
        after: Only lines after this position.
        limit: At most this many lines.
        least_level: Only lines of this level and above.
        newest: When there are more than ``limit``: the newest of them, and not the oldest.
    """

    flow_run_id: str
    after: int = 0
    limit: int = 1000
    least_level: int = 0
    newest: bool = False


class MaterialiseSchedules(Operation[int], frozen=True, kw_only=True):
    """Make the flow runs due within ``ahead_s`` seconds; answers how many are new."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    ahead_s: float = 3600.0
    most_per_flow: int = 100


class ClaimFlowRun(Operation[FlowRunLease | None], frozen=True, kw_only=True):
    """Take the first flow run that is due and free, or whose holder's lease ran out.

    Attributes:
        labels: What the worker has; it takes only what needs no other.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    worker: str
    labels: list[str] = []
    lease_s: float = 30.0


class RenewLease(Operation[FlowRun], frozen=True, kw_only=True):
    """Hold on to a flow run; refused when the token is no longer the newest."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    flow_run_id: str
    token: int
    lease_s: float = 30.0


class ReleaseFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Give a flow run back; it becomes due again unless it has finished."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    flow_run_id: str
    token: int
    reason: str = ""


class CancelFlowRun(Operation[FlowRun], frozen=True, kw_only=True):
    """Cancel a flow run: at once when nobody runs it, else its worker is told."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    flow_run_id: str
    reason: str = ""


def name_of(operation: type[Operation[Any]]) -> str:
    """Turn ``SearchRuns`` into ``search-runs``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", operation.__name__).lower()


def answer_type(operation: type[Operation[Any]]) -> Any:  # noqa: ANN401 - a type expression
    """Tell what an operation answers with, from its base ``Operation[...]``."""
    (base,) = operation.__orig_bases__  # type: ignore[attr-defined]
    return get_args(base)[0]


#: Every operation by its name on the wire.
OPERATIONS: dict[str, type[Operation[Any]]] = {
    name_of(operation): operation for operation in Operation.__subclasses__()
}
