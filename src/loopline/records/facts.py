"""Facts: what is journaled, needs no answer, and is ingested exactly once."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.records.base import Record
from loopline.records.flows import FlowGraph, LogLine, StateKind
from loopline.records.logged_models import LoggedModelPoint, ModelRole
from loopline.records.tracking import Dataset, RunStatus

__all__ = [
    "ArtifactLogged",
    "Batch",
    "Fact",
    "FlowArtifactSet",
    "FlowRunState",
    "InputLogged",
    "LoggedModelFile",
    "LoggedModelMeasured",
    "LoggedModelUsed",
    "LogsWritten",
    "MetricPoints",
    "ParamsLogged",
    "Receipt",
    "RunEnded",
    "RunStarted",
    "TagRemoved",
    "TagsSet",
    "TaskRunState",
    "Unreadable",
]


class RunStarted(Record, frozen=True, kw_only=True, tag="run_started"):
    """A run began; its experiment goes by name and is created when missing.

    Attributes:
        experiment: Name of the experiment; empty when ``experiment_id`` is given.
        resumed: The run existed before and goes on.
        status: What a resumed run is then: RUNNING, or SCHEDULED when it is to go on later.
    """

    run_id: str
    experiment: str = ""
    experiment_id: str = ""
    name: str = ""
    start_ms: int
    user: str = ""
    parent_run_id: str | None = None
    flow_run_id: str | None = None
    task_slug: str | None = None
    tags: dict[str, str] = {}
    resumed: bool = False
    status: RunStatus = RunStatus.RUNNING


class RunEnded(Record, frozen=True, kw_only=True, tag="run_ended"):
    """A run ended, by the word of its owner or (``adopted``) of whoever found its owner gone."""

    run_id: str
    status: RunStatus
    end_ms: int
    duration_ms: int | None = None
    reason: str = ""
    adopted: bool = False


class ParamsLogged(Record, frozen=True, kw_only=True, tag="params"):
    """Params of a run; a key keeps its first value for good."""

    run_id: str
    params: dict[str, str]


class TagsSet(Record, frozen=True, kw_only=True, tag="tags"):
    """Tags of a run; the last value counts."""

    run_id: str
    tags: dict[str, str]


class TagRemoved(Record, frozen=True, kw_only=True, tag="tag_removed"):
    """A tag was taken off a run; one that ``must_exist`` and is not there is an error."""

    run_id: str
    key: str
    must_exist: bool = False


class MetricPoints(Record, frozen=True, kw_only=True, tag="metric", gc=False):
    """Points of one metric of one run, as packed little-endian columns of equal length.

    Attributes:
        steps: n times int64.
        timestamps_ms: n times int64, Unix milliseconds.
        values: n times float64.
    """

    run_id: str
    key: str
    steps: bytes
    timestamps_ms: bytes
    values: bytes


class ArtifactLogged(Record, frozen=True, kw_only=True, tag="artifact"):
    """A file of a run; its bytes are in the blob store before this fact is sent."""

    run_id: str
    path: str
    sha256: str
    size_bytes: int
    at_ms: int


class InputLogged(Record, frozen=True, kw_only=True, tag="input"):
    """A run read a data version, for which purpose, with tags of this reading."""

    run_id: str
    dataset: Dataset
    context: str = ""
    tags: dict[str, str] = {}


class LoggedModelUsed(Record, frozen=True, kw_only=True, tag="logged_model_used"):
    """A run read or made a logged model, at a step of the run."""

    run_id: str
    model_id: str
    role: ModelRole
    step: int = 0


class LoggedModelMeasured(Record, frozen=True, kw_only=True, tag="logged_model_measured"):
    """Points that runs measured on logged models; they are points of the runs, too."""

    points: list[LoggedModelPoint]


class LoggedModelFile(Record, frozen=True, kw_only=True, tag="logged_model_file"):
    """A file of a logged model; its bytes are in the blob store before this fact is sent."""

    model_id: str
    path: str
    sha256: str
    size_bytes: int
    at_ms: int


class FlowRunState(Record, frozen=True, kw_only=True, tag="flow_run_state"):
    """A flow run changed state; a first one for an unknown id makes the flow run.

    Attributes:
        token: Fencing token under which the writer holds the run; 0 for ``flow.run()``.
        graph: The graph, with the first state of a run that has no registered version.
        parent: The flow run whose task started this one, with its first state.
    """

    flow_run_id: str
    state: StateKind
    at_ms: int
    message: str = ""
    token: int = 0
    flow_name: str = ""
    name: str = ""
    graph: FlowGraph | None = None
    parameters: dict[str, Any] = {}
    parent: str = ""


class TaskRunState(Record, frozen=True, kw_only=True, gc=False, tag="task_run_state"):
    """A task run changed state.

    Attributes:
        name: Its own name; empty: as before, or its task's.
        until_ms: Unix time in milliseconds at which it goes on by itself; 0: none.
    """

    flow_run_id: str
    task_slug: str
    map_index: int = -1
    state: StateKind
    at_ms: int
    message: str = ""
    attempt: int = 0
    result: str = ""
    token: int = 0
    name: str = ""
    until_ms: int = 0


class FlowArtifactSet(Record, frozen=True, kw_only=True, tag="flow_artifact"):
    """A task made something to be shown with its flow run, or changed or deleted it.

    Attributes:
        artifact_id: 32 hex digits.
        artifact_kind: ``"link"``, ``"markdown"`` or ``"table"``; empty: it is deleted.
        data: What it shows, as JSON text.
        token: Fencing token of the flow run; 0 outside a worker.
    """

    artifact_id: str
    flow_run_id: str
    task_slug: str = ""
    map_index: int = -1
    artifact_kind: str = ""
    data: str = ""
    at_ms: int = 0
    token: int = 0


class LogsWritten(Record, frozen=True, kw_only=True, tag="logs"):
    """Log lines of a flow run."""

    lines: list[LogLine]


class Unreadable(Record, frozen=True, kw_only=True, tag="unreadable"):
    """A whole record of a journal that is no fact: refused for good, so that it blocks nothing.

    Attributes:
        data: The record.
        reason: What is wrong with it.
    """

    data: bytes
    reason: str


Fact = (
    RunStarted
    | RunEnded
    | ParamsLogged
    | TagsSet
    | TagRemoved
    | MetricPoints
    | ArtifactLogged
    | InputLogged
    | LoggedModelUsed
    | LoggedModelMeasured
    | LoggedModelFile
    | FlowRunState
    | TaskRunState
    | FlowArtifactSet
    | LogsWritten
    | Unreadable
)


class Batch(Record, frozen=True, kw_only=True):
    """Consecutive records of one writer's journal, ingested in one transaction.

    Attributes:
        writer: Id of the journal, 32 hex digits, or ``<id>/logs`` for its log stream.
        start: Journal position before the first record.
        end: Journal position after the last one; positions only grow.
        host: Name of the writer's machine.
        pid: Its process id there.
        adopted: Whether somebody else sends it because the writer is gone.
    """

    writer: str
    start: int
    end: int
    facts: list[Fact]
    host: str = ""
    pid: int = 0
    adopted: bool = False


class Receipt(Record, frozen=True, kw_only=True):
    """The store's answer to a batch.

    Attributes:
        acknowledged: Position up to which the writer's records are safe. The batch was taken
            in whole when this is its ``end``; otherwise send again from here.
        refused: How many of its facts went to the dead letters.
        reasons: Why, of the first few.
    """

    acknowledged: int
    refused: int = 0
    reasons: list[str] = []


#: Decodes one journaled fact.
fact_decoder = msgspec.msgpack.Decoder(Fact)
