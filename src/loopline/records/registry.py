"""Records of the model registry: models, versions, stages, aliases, and who moved what."""

from __future__ import annotations

from enum import StrEnum

from loopline.records.base import Record
from loopline.records.tracking import Artifact

__all__ = ["ModelVersion", "RegisteredModel", "ResolvedModel", "Stage", "VersionEvent"]


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


class RegisteredModel(Record, frozen=True, kw_only=True):
    """A named line of model versions.

    Attributes:
        champions: Version per stage that ``models:/name/Stage`` means.
        aliases: Version per alias.
    """

    name: str
    description: str = ""
    created_ms: int
    updated_ms: int
    latest_version: int = 0
    champions: dict[str, int] = {}
    aliases: dict[str, int] = {}


class ModelVersion(Record, frozen=True, kw_only=True):
    """One version of a registered model: an immutable set of files.

    Attributes:
        version: Counted from 1; a number is never used twice.
        run_id: The run that made it.
        artifact_path: Folder of the model among the run's artifacts.
        digest: SHA-256 over the paths and hashes of its files: what a loader checks.
        metrics: Latest metrics of the run when it was registered.
        params: Params of the run when it was registered.
    """

    name: str
    version: int
    run_id: str
    artifact_path: str
    stage: Stage = Stage.NONE
    aliases: list[str] = []
    description: str = ""
    digest: str
    size_bytes: int = 0
    created_ms: int
    updated_ms: int
    actor: str = ""
    tags: dict[str, str] = {}
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}


class ResolvedModel(Record, frozen=True, kw_only=True):
    """A model address resolved to one version and its files."""

    version: ModelVersion
    files: list[Artifact]


class VersionEvent(Record, frozen=True, kw_only=True):
    """One move of a model version: who, when, why, from where to where.

    Attributes:
        kind: ``"created"``, ``"stage"``, ``"alias"`` or ``"alias removed"``.
        before: Stage or alias target before; empty when there was none.
        after: Stage or alias target after.
    """

    name: str
    version: int
    at_ms: int
    kind: str
    before: str = ""
    after: str = ""
    actor: str = ""
    reason: str = ""
