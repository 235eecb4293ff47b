"""Logged models: a model as MLflow 3's clients log it, before anybody registers it.

It belongs to an experiment, has files of its own, and runs measure it or read it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from loopline.records.base import Lifecycle, Record
from loopline.records.operation import Operation
from loopline.records.tracking import Artifact, ModelRole, RunModel, RunUses

__all__ = [
    "CreateLoggedModel",
    "DatasetName",
    "DeleteLoggedModel",
    "FinishLoggedModel",
    "GetLoggedModel",
    "ListLoggedModelFiles",
    "ListRunModels",
    "ListRunUses",
    "LogLoggedModelParams",
    "LoggedModel",
    "LoggedModelOrder",
    "LoggedModelPage",
    "LoggedModelPoint",
    "LoggedModelStatus",
    "ModelRole",
    "RemoveLoggedModelTag",
    "RunModel",
    "RunUses",
    "SearchLoggedModels",
    "SetLoggedModelTags",
]


class LoggedModelStatus(StrEnum):
    """Whether the files of a logged model are complete."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class LoggedModelPoint(Record, frozen=True, kw_only=True):
    """A point of a metric that a run measured on a logged model.

    Attributes:
        model_id: The logged model.
        timestamp_ms: Unix time in milliseconds.
        run_id: The run that measured it.
        dataset_name: The data version it was measured on, with its digest; empty: not said.
    """

    model_id: str
    key: str
    value: float
    step: int = 0
    timestamp_ms: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(Record, frozen=True, kw_only=True):
    """A model of an experiment.

    Attributes:
        model_id: ``m-`` and 32 hex digits.
        name: What it was logged as; several may have one name.
        model_type: Such as ``"regressor"``; empty: not said.
        source_run_id: The run that made it; empty: none.
        updated_ms: Unix time in milliseconds of the last change of its status or lifecycle.
        metrics: Every point measured on it, by metric, step and time.
        registrations: Versions that were registered from it: names and numbers.
    """

    model_id: str
    experiment_id: str
    name: str
    model_type: str = ""
    source_run_id: str = ""
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str = ""
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    created_ms: int
    updated_ms: int
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[LoggedModelPoint] = []
    registrations: list[tuple[str, int]] = []


class LoggedModelPage(Record, frozen=True, kw_only=True):
    """Some logged models of a search, and where the next ones begin (empty: no more)."""

    models: list[LoggedModel]
    next_page_token: str = ""


class DatasetName(Record, frozen=True, kw_only=True):
    """A data version by its name and, when given, its digest."""

    name: str
    digest: str = ""


class LoggedModelOrder(Record, frozen=True, kw_only=True):
    """A key to order by; models without it come last either way.

    Attributes:
        field: Such as ``"metrics.rmse"``, ``"params.depth"`` or ``"creation_timestamp"``.
        dataset: For a metric: as measured on this data version; None: on any.
    """

    field: str
    ascending: bool = True
    dataset: DatasetName | None = None


class CreateLoggedModel(Operation[LoggedModel], frozen=True, kw_only=True):
    """Make a logged model, whose files follow.

    Attributes:
        model_id: Chosen by who has one already, such as an import; empty: a new one.
        name: Empty: one is made up.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str
    model_id: str = ""
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class FinishLoggedModel(Operation[LoggedModel], frozen=True, kw_only=True):
    """Say whether the files of a logged model are complete."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    model_id: str
    status: LoggedModelStatus
    message: str = ""


class GetLoggedModel(Operation[LoggedModel], frozen=True, kw_only=True):
    """Get a logged model; a deleted one is not found, unless it is asked for.

    Attributes:
        include_deleted: It may be deleted.
    """

    model_id: str
    include_deleted: bool = False


class DeleteLoggedModel(Operation[LoggedModel], frozen=True, kw_only=True):
    """Soft-delete a logged model; versions that were registered from it keep their files."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    model_id: str


class SearchLoggedModels(Operation[LoggedModelPage], frozen=True, kw_only=True):
    """Search logged models by a filter, in order, a page at a time.

    Attributes:
        experiment_ids: Where to look; empty: everywhere.
        filter: The language of ``SearchRuns`` over name, model_id, model_type, status,
            source_run_id, creation_timestamp, last_updated_timestamp, params, tags and metrics.
        datasets: Conditions on metrics hold for what was measured on one of these; empty: on any.
        order_by: Newest first when empty.
        max_results: 1 to 1,000.
        page_token: From the page before.
        lifecycle: ``"active"``, ``"deleted"`` or ``"all"``.
    """

    experiment_ids: list[str] = []
    filter: str = ""
    datasets: list[DatasetName] = []
    order_by: list[LoggedModelOrder] = []
    max_results: int = 100
    page_token: str = ""
    lifecycle: str = "active"


class SetLoggedModelTags(Operation[LoggedModel], frozen=True, kw_only=True):
    """Set tags of a logged model; the last value of a key counts."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    model_id: str
    tags: dict[str, str]


class RemoveLoggedModelTag(Operation[LoggedModel], frozen=True, kw_only=True):
    """Take a tag off a logged model; one that is not there is an error."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    model_id: str
    key: str


class LogLoggedModelParams(Operation[LoggedModel], frozen=True, kw_only=True):
    """Add params to a logged model; a key keeps its first value for good."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    model_id: str
    params: dict[str, str]


class ListLoggedModelFiles(Operation[list[Artifact]], frozen=True, kw_only=True):
    """List what lies in a folder of a logged model; ``recursive`` lists every file below it.

    Attributes:
        include_deleted: The model may be deleted.
    """

    model_id: str
    path: str = ""
    recursive: bool = False
    include_deleted: bool = False


class ListRunModels(Operation[list[RunModel]], frozen=True, kw_only=True):
    """List the logged models that a run read or made."""

    run_id: str


class ListRunUses(Operation[list[RunUses]], frozen=True, kw_only=True):
    """List what many runs read and made; those that did neither, or are not there, are left out."""

    run_ids: list[str]
