"""Records of the model registry: models, versions, stages, aliases, and who moved what."""

from __future__ import annotations

from enum import StrEnum

from loopline.records.base import Record
from loopline.records.tracking import Artifact

__all__ = [
    "ModelPage",
    "ModelVersion",
    "RegisteredModel",
    "ResolvedModel",
    "Stage",
    "VersionEvent",
    "VersionPage",
    "VersionStatus",
]


class Stage(StrEnum):
    """Where a model version stands; input is case-insensitive, output is written like this."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @classmethod
    def _missing_(cls, value: object) -> Stage | None:
        if isinstance(value, str):
            for stage in cls:
                if stage.value.lower() == value.lower():
                    return stage
        return None


class VersionStatus(StrEnum):
    """Whether a version can be used, in MLflow's words."""

    READY = "READY"
    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"


class RegisteredModel(Record, frozen=True, kw_only=True):
    """A named line of model versions.

    Attributes:
        champions: Version per stage that ``models:/name/Stage`` means.
        aliases: Version per alias.
        stages: The model's own stages beside the four, and what MLflow's clients are told of each.
    """

    name: str
    description: str = ""
    created_ms: int
    updated_ms: int
    latest_version: int = 0
    champions: dict[str, int] = {}
    aliases: dict[str, int] = {}
    stages: dict[str, Stage] = {}
    tags: dict[str, str] = {}

    @property
    def creation_timestamp(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.created_ms

    @property
    def last_updated_timestamp(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.updated_ms


class ModelVersion(Record, frozen=True, kw_only=True):
    """One version of a registered model: an immutable set of files.

    Attributes:
        version: Counted from 1; a number is never used twice.
        run_id: The run that made it; empty when nobody said.
        artifact_path: Folder of the model among the run's artifacts; empty when it lies elsewhere.
        source: Where its files are in the words of the MLflow client that registered it.
        logged_model_id: The logged model it was made from, MLflow's ``m-...``; empty: none.
        stage: One of the four, or one of the model's own.
        seen_as: What MLflow's clients, who know the four, are told of it.
        run_link: A page about its run, elsewhere.
        status_message: Why it is not ready.
        digest: SHA-256 over the paths and hashes of its files: what a loader checks.
        metrics: Latest metrics of the run when it was registered.
        params: Params of the run when it was registered.
    """

    name: str
    version: int
    run_id: str
    artifact_path: str
    stage: str = Stage.NONE.value
    seen_as: Stage = Stage.NONE
    aliases: list[str] = []
    description: str = ""
    source: str = ""
    logged_model_id: str = ""
    run_link: str = ""
    status: VersionStatus = VersionStatus.READY
    status_message: str = ""
    digest: str
    size_bytes: int = 0
    created_ms: int
    updated_ms: int
    actor: str = ""
    tags: dict[str, str] = {}
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}

    @property
    def current_stage(self) -> str:
        """Its stage, as MLflow calls it."""
        return self.stage

    @property
    def creation_timestamp(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.created_ms

    @property
    def last_updated_timestamp(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.updated_ms

    @property
    def user_id(self) -> str:
        """Who registered it, as MLflow calls it."""
        return self.actor


class ModelPage(Record, frozen=True, kw_only=True):
    """Some registered models of a search, and where the next ones begin (empty: no more)."""

    models: list[RegisteredModel]
    next_page_token: str = ""


class VersionPage(Record, frozen=True, kw_only=True):
    """Some versions of a search, and where the next ones begin (empty: there are no more)."""

    versions: list[ModelVersion]
    next_page_token: str = ""


class ResolvedModel(Record, frozen=True, kw_only=True):
    """A model address resolved to one version and its files."""

    version: ModelVersion
    files: list[Artifact]


class VersionEvent(Record, frozen=True, kw_only=True):
    """One change of a model version or of a whole model: who, when, why, from where to where.

    Attributes:
        version: 0 when it is about the whole model.
        kind: ``"created"``, ``"stage"``, ``"alias"``, ``"alias removed"``, ``"renamed"``,
            ``"files"``, ``"stage added"``, ``"stage removed"`` or ``"deleted"``.
        before: Stage, alias target or name before; empty when there was none.
        after: Stage, alias target or name after.
    """

    name: str
    version: int
    at_ms: int
    kind: str
    before: str = ""
    after: str = ""
    actor: str = ""
    reason: str = ""
