"""Operations on registered models, their versions, stages, aliases and tags."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.operation import Operation
from loopline.records.registry import (
    ModelPage,
    ModelVersion,
    RegisteredModel,
    ResolvedModel,
    VersionEvent,
    VersionPage,
)
from loopline.records.tracking import Artifact

__all__ = [
    "AddStage",
    "CopyVersion",
    "CreateModel",
    "DeleteModel",
    "DeleteVersion",
    "GetLatestVersions",
    "GetModel",
    "GetVersion",
    "ListModels",
    "ListVersionEvents",
    "ListVersions",
    "RegisterVersion",
    "RemoveAlias",
    "RemoveModelTag",
    "RemoveStage",
    "RemoveVersionTag",
    "RenameModel",
    "ResolveModel",
    "SearchModels",
    "SearchVersions",
    "SetAlias",
    "SetModelTags",
    "SetVersionTags",
    "TakeFiles",
    "TransitionStage",
    "UpdateModel",
    "UpdateVersion",
]

# --- models -----------------------------------------------------------------------------------


class CreateModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Make a registered model without versions; a name that is taken is an error."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    description: str = ""
    tags: dict[str, str] = {}
    actor: str = ""


class UpdateModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Describe a registered model anew."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    description: str


class RenameModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Give a model another name; its versions, aliases, champions, tags and history follow."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    new_name: str
    actor: str = ""


class DeleteModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Delete a model with its versions for good; what happened to it stays in the history.

    Answers the model as it was.

    The versions of a model that is made again under the name count from 1.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    actor: str = ""


class SetModelTags(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Set tags of a model; the last value of a key counts."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    tags: dict[str, str]


class RemoveModelTag(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Take a tag off a model; one that is not there is none to take off."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    key: str


class ListModels(Operation[list[RegisteredModel]], frozen=True, kw_only=True):
    """List registered models by name."""


class GetModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Get a registered model."""

    name: str


class SearchModels(Operation[ModelPage], frozen=True, kw_only=True):
    """Search registered models by a filter, in order, a page at a time.

    Attributes:
        filter: The language of ``SearchRuns`` over name and tags.
        order_by: Such as ``["timestamp DESC"]``, the last change; by name when empty.
        max_results: 1 to 1,000.
        page_token: From the page before.
    """

    filter: str = ""
    order_by: list[str] = []
    max_results: int = 100
    page_token: str = ""


# --- versions ---------------------------------------------------------------------------------


class RegisterVersion(Operation[ModelVersion], frozen=True, kw_only=True):
    """Make the next version of a model from a folder of a run; copies no bytes.

    Attributes:
        source: Where its files are in the words of who registers it, when not by
            ``artifact_path``; kept and answered as it is.
        logged_model_id: The logged model it is made from, MLflow's ``m-...``: its files, unless
            ``artifact_path`` names others, and its run when none is named.
        run_link: A page about the run, elsewhere.
        allow_empty: Its files may be elsewhere or come later, and so may its run.
        create_model: A model that is not there is made; else that is an error.
        files: Its files by path inside the model, when they are not those of the run's folder;
            their bytes are in the blob store. So for ``metrics`` and ``params``, beside the run's.
        reason: Why, kept in the history.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    run_id: str = ""
    artifact_path: str = ""
    description: str = ""
    tags: dict[str, str] = {}
    source: str = ""
    logged_model_id: str = ""
    run_link: str = ""
    allow_empty: bool = False
    create_model: bool = True
    files: list[Artifact] = []
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    reason: str = ""
    actor: str = ""


class TakeFiles(Operation[ModelVersion], frozen=True, kw_only=True):
    """Give a version that was registered without files those that have come since, for good.

    They are those of its run's folder or of its logged model. A move to a stage and an alias do
    the same for a version that has none.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    actor: str = ""


class CopyVersion(Operation[ModelVersion], frozen=True, kw_only=True):
    """Make the next version of a model from a version there is; copies no bytes.

    Attributes:
        to: The model it becomes a version of, which may be the same.
        description: Of the copy; None: as it was. So are ``tags``.
        source: As ``RegisterVersion`` has it; empty: as it was.
        create_model: A model that is not there is made; else that is an error.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    to: str
    description: str | None = None
    tags: dict[str, str] | None = None
    source: str = ""
    create_model: bool = True
    actor: str = ""


class UpdateVersion(Operation[ModelVersion], frozen=True, kw_only=True):
    """Describe a version anew."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    description: str


class DeleteVersion(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Delete a version for good, with its aliases; its number is never used again.

    The stage of which it was the champion passes on to the newest version that is there, too.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    actor: str = ""


class SetVersionTags(Operation[ModelVersion], frozen=True, kw_only=True):
    """Set tags of a version; the last value of a key counts."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    tags: dict[str, str]


class RemoveVersionTag(Operation[ModelVersion], frozen=True, kw_only=True):
    """Take a tag off a version; one that is not there is none to take off."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    key: str


class GetVersion(Operation[ModelVersion], frozen=True, kw_only=True):
    """Get a version by its number."""

    name: str
    version: int


class ListVersions(Operation[list[ModelVersion]], frozen=True, kw_only=True):
    """List the versions of a model, newest first."""

    name: str


class GetLatestVersions(Operation[list[ModelVersion]], frozen=True, kw_only=True):
    """Get the highest version in each stage, of one model or of many at once.

    Attributes:
        names: Of models, 1,000 at most; one that is not there is an error.
        stages: Only of these; empty: of each that has a version.
        as_mlflow: Stages are the four that MLflow's clients are told of.
    """

    names: list[str]
    stages: list[str] = []
    as_mlflow: bool = False


class SearchVersions(Operation[VersionPage], frozen=True, kw_only=True):
    """Search versions of all models by a filter, in order, a page at a time.

    Attributes:
        filter: The language of ``SearchRuns`` over name, version_number, run_id, source_path
            and tags.
        order_by: Such as ``["version_number DESC"]``; newest change first when empty.
        max_results: 1 to 200,000.
        page_token: From the page before.
    """

    filter: str = ""
    order_by: list[str] = []
    max_results: int = 10_000
    page_token: str = ""


class ResolveModel(Operation[ResolvedModel], frozen=True, kw_only=True):
    """Find one version, by exactly one of number, stage, alias or ``latest``, and its files."""

    name: str
    version: int = 0
    stage: str = ""
    alias: str = ""
    latest: bool = False


# --- moves ------------------------------------------------------------------------------------


class TransitionStage(Operation[ModelVersion], frozen=True, kw_only=True):
    """Move a version to a stage and make it the stage's champion.

    Attributes:
        archive_existing: Versions in that stage go to Archived, which only Staging and
            Production can ask for; left out, they do where they can.
        only_after: The version that must be the stage's champion until now, 0 for none; left
            out, whichever it is. Who decided against a champion is told when it is another.
        reason: Why, kept in the history.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    version: int
    stage: str
    archive_existing: bool | None = None
    only_after: int | None = None
    reason: str = ""
    actor: str = ""


class AddStage(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Give a model a stage of its own; one that it has is seen from now on as said.

    Attributes:
        seen_as: What MLflow's clients, who know four stages, are told of a version in it:
            ``"None"``, ``"Staging"`` or ``"Archived"``.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    stage: str
    seen_as: str = "None"
    actor: str = ""


class RemoveStage(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Take away a stage of a model's own, in which no version stands."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    stage: str
    actor: str = ""


class SetAlias(Operation[ModelVersion], frozen=True, kw_only=True):
    """Point an alias at a version."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    alias: str
    version: int
    actor: str = ""


class RemoveAlias(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Take an alias away.

    Attributes:
        missing_ok: One that is not there is no error.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    alias: str
    missing_ok: bool = False
    actor: str = ""


class ListVersionEvents(Operation[list[VersionEvent]], frozen=True, kw_only=True):
    """List who moved what, newest first; of a deleted model, too."""

    name: str
