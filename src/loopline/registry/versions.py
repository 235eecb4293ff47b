"""Versions of registered models: made from a run's model, moved between stages, found again."""

from __future__ import annotations

import os

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.models.address import RegistryAddress, RunAddress, parse_model_address
from loopline.records.operations import (
    GetModel,
    ListModels,
    ListVersionEvents,
    ListVersions,
    RegisterVersion,
    RemoveAlias,
    ResolveModel,
    SetAlias,
    TransitionStage,
)
from loopline.records.registry import ModelVersion, RegisteredModel, Stage
from loopline.registry.found import Events, Models, Versions
from loopline.tracking.words import user_name

__all__ = [
    "get_production",
    "get_version",
    "history",
    "list_models",
    "list_versions",
    "register_model",
    "remove_alias",
    "set_alias",
    "transition_stage",
]


def register_model(
    model_uri: str, name: str, *, tags: dict[str, str] | None = None, description: str = ""
) -> ModelVersion:
    """Make the next version of a registered model, creating the model when missing.

    What this process logged before is in the store when this returns. No bytes are copied.

    Args:
        model_uri: ``runs:/<run id>/model``, or a version there is (``models:/other/3``).
        name: Of the registered model.
        tags: Of the new version.
        description: Of the new version.

    Raises:
        NotFoundError: The run has no such model.
        BackendUnavailableError: The store cannot be reached.
    """
    address = parse_model_address(model_uri)
    if isinstance(address, RegistryAddress):
        source = _resolve(address)
        address = RunAddress(source.run_id, source.artifact_path)
    if not isinstance(address, RunAddress):
        msg = (
            f"{model_uri!r} is a folder, and a version is made from a run's model. Log it first, "
            "with loopline.sklearn.log_model(model, registered_model_name=...) or the like."
        )
        raise InvalidInputError(msg)
    return get_recorder().call(
        RegisterVersion(
            name=name,
            run_id=address.run_id,
            artifact_path=address.path,
            description=description,
            tags=tags or {},
            actor=_actor(),
        )
    )


def transition_stage(
    name: str,
    version: int | str,
    stage: Stage | str,
    *,
    archive_existing: bool | None = None,
    only_after: int | None = None,
    reason: str = "",
) -> ModelVersion:
    """Move a version to a stage; from then on ``models:/name/Stage`` means it.

    Args:
        name: Of the registered model.
        version: Its number.
        stage: ``"None"``, ``"Staging"``, ``"Production"`` or ``"Archived"``, in any case.
        archive_existing: The versions that were in that stage go to Archived, which only
            Staging and Production can ask for; left out, they do where they can.
        only_after: The version that must be the stage's champion until now, 0 for none; left
            out, whichever it is.
        reason: Why, kept in the history.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: There is no such stage.
        ConflictError: Another version is the champion than ``only_after``.
    """
    return get_recorder().call(
        TransitionStage(
            name=name,
            version=_number(version),
            stage=str(stage),
            archive_existing=archive_existing,
            only_after=only_after,
            reason=reason,
            actor=_actor(),
        )
    )


def set_alias(name: str, alias: str, version: int | str) -> ModelVersion:
    """Point an alias at a version; ``models:/name@alias`` then means it."""
    return get_recorder().call(
        SetAlias(name=name, alias=alias, version=_number(version), actor=_actor())
    )


def remove_alias(name: str, alias: str) -> RegisteredModel:
    """Take an alias away; the version it pointed at stays."""
    return get_recorder().call(RemoveAlias(name=name, alias=alias, actor=_actor()))


def get_version(
    name: str, version: int | str | None = None, *, stage: Stage | str = "", alias: str = ""
) -> ModelVersion:
    """Get one version of a model.

    Args:
        name: Of the registered model.
        version: Its number, or the name of a stage.
        stage: Instead: the version this stage means.
        alias: Instead: the version this alias points at.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: Not exactly one of number, stage and alias was given.
    """
    if isinstance(version, str) and not version.isdecimal():
        if stage:
            msg = f"Both {version!r} and stage={str(stage)!r} were given. Give one of them."
            raise InvalidInputError(msg)
        stage, version = version, None
    resolved = get_recorder().call(
        ResolveModel(
            name=name,
            version=0 if version is None else _number(version),
            stage=str(stage),
            alias=alias,
        )
    )
    return resolved.version


def get_production(name: str) -> ModelVersion | None:
    """Get the version in Production, or None when there is none, or no such model."""
    try:
        return get_version(name, stage=Stage.PRODUCTION)
    except NotFoundError:
        return None


def list_models() -> Models:
    """List registered models by name."""
    found = get_recorder().call(ListModels())
    return Models(found)


def list_versions(name: str) -> Versions:
    """List the versions of a model, newest first."""
    found = get_recorder().call(ListVersions(name=name))
    return Versions(found)


def history(name: str) -> Events:
    """List who moved which version of a model when and why, newest first."""
    found = get_recorder().call(ListVersionEvents(name=name))
    return Events(found)


def _resolve(address: RegistryAddress) -> ModelVersion:
    if address.latest:
        model = get_recorder().call(GetModel(name=address.name))
        return get_version(address.name, model.latest_version)
    return get_version(
        address.name, address.version or None, stage=address.stage, alias=address.alias
    )


def _actor() -> str:
    """Tell who acts; looked up each time, for one process may act for several people."""
    return os.environ.get("LOOPLINE_ACTOR") or user_name()


def _number(version: int | str) -> int:
    """Take a version number, given as a number or as text."""
    try:
        number = int(version)
    except ValueError:
        number = 0
    if number < 1:
        msg = (
            f"A version is a number from 1 on, not {version!r}. See them with list_versions(name)."
        )
        raise InvalidInputError(msg)
    return number
