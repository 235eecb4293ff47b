"""Versions of registered models: made from a run's model, described, tagged and found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.operations import ListVersions, ResolveModel, SetVersionTags, TakeFiles
from loopline.records.registry import ModelVersion, Stage
from loopline.registry.client import RegistryClient
from loopline.registry.found import Versions
from loopline.registry.given import actor, as_number, as_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "copy_version",
    "delete_version",
    "get_latest_versions",
    "get_production",
    "get_version",
    "list_versions",
    "register_model",
    "remove_version_tag",
    "search_versions",
    "set_version_tags",
    "take_files",
    "update_version",
]


def register_model(
    model_uri: str, name: str, *, tags: Mapping[str, Any] | None = None, description: str = ""
) -> ModelVersion:
    """Make the next version of a registered model, creating the model when missing.

    What this process logged before is in the store when this returns. No bytes are copied.

    Args:
        model_uri: ``runs:/<run id>/model``, or a version there is (``models:/other/3``).
        name: Of the registered model.
        tags: Of the new version; those of the version it is made from when left out.
        description: Of the new version; so, too.

    Raises:
        NotFoundError: The run has no such model.
        BackendUnavailableError: The store cannot be reached.
    """
    return RegistryClient().register_model(
        model_uri, name, tags=tags, description=description or None
    )


def copy_version(model_uri: str, name: str, *, to: str | Path | None = None) -> ModelVersion:
    """Make the next version of a model from a version there is, with its very files.

    Args:
        model_uri: ``models:/NAME/3``, ``models:/NAME/Production`` or ``models:/NAME@alias``.
        name: The model it becomes a version of; made when missing.
        to: Another store that gets it: a server, a home or a database. Its files are brought
            there first. None: this store, where no bytes are copied.
    """
    return RegistryClient().copy_model_version(model_uri, name, to=to)


def take_files(name: str, version: int | str) -> ModelVersion:
    """Give a version that was registered without files those that its run has now, for good.

    Raises:
        NotFoundError: No files have come.
        ConflictError: It has files.
    """
    return get_recorder().call(TakeFiles(name=name, version=as_number(version), actor=actor()))


def update_version(name: str, version: int | str, *, description: str) -> ModelVersion:
    """Describe a version anew."""
    return RegistryClient().update_model_version(name, version, description)


def delete_version(name: str, version: int | str) -> None:
    """Delete a version with its aliases, for good; its number is never used again.

    The stage of which it was the champion passes on to the newest version that is there, too.
    """
    RegistryClient().delete_model_version(name, version)


def set_version_tags(name: str, version: int | str, tags: Mapping[str, Any]) -> ModelVersion:
    """Set tags of a version; the last value of a key counts."""
    return get_recorder().call(
        SetVersionTags(name=name, version=as_number(version), tags=as_texts(tags))
    )


def remove_version_tag(name: str, version: int | str, key: str) -> None:
    """Take a tag off a version; one that is not there is none to take off."""
    RegistryClient().delete_model_version_tag(name, version, key)


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
            version=0 if version is None else as_number(version),
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


def list_versions(name: str) -> Versions:
    """List the versions of a model, newest first."""
    found = get_recorder().call(ListVersions(name=name))
    return Versions(found)


def get_latest_versions(name: str, stages: Sequence[str] = ()) -> Versions:
    """Get the highest version in each stage, or in each of some stages.

    Not the champions: ``models:/name/Stage`` is the version that was moved there last.
    """
    return RegistryClient().get_latest_versions(name, stages)


def search_versions(
    filter_string: str = "", *, order_by: Sequence[str] = (), max_results: int | None = None
) -> Versions:
    """Search versions of all models, newest change first unless ordered otherwise.

    Args:
        filter_string: Such as ``"name = 'taxifare' AND version_number > 3"``; over name,
            version_number, run_id, source_path and tags.
        order_by: Such as ``["version_number DESC"]``.
        max_results: At most so many; all when None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return RegistryClient().search_model_versions(filter_string, max_results, order_by)
