"""Model versions in MLflow's protocol.

A client names what it registers by an address: of a run's files, as this server gave it out or as
``runs:/<run>/<path>``, of a logged model, ``models:/m-<id>``, or of another version,
``models:/<name>/<version>``. Any other place is refused: files are what was uploaded here. A
version is downloaded from an address of its own, so that it stays what was registered, whatever is
uploaded to the run later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.registry import Stage
from loopline.rules.names import check_artifact_path
from loopline.server.mlflow.answers import SCHEME, artifact_root, model_root, version_answer
from loopline.server.mlflow.artifacts import VERSIONS_AT, Place, parse_place
from loopline.server.mlflow.experiments import POST
from loopline.server.mlflow.models import DELETE, PATCH, refuse_prompts, without_prompts
from loopline.server.mlflow.requests import Call, KeyValue, required, version_number
from loopline.server.mlflow.rules import Rule, asks

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion

__all__ = ["VERSIONS"]

_RUN = re.compile(r"runs:/+([^/]+)/(.+)\Z")
_MODEL = re.compile(r"models:/+(m-[^/]+)/?\Z")
_VERSION = re.compile(r"models:/+([^/]+)/(\d+)\Z")


class CreateVersion(Call, frozen=True, kw_only=True):
    """A new version of a model."""

    name: str
    source: str
    run_id: str = ""
    tags: list[KeyValue] = []
    run_link: str = ""
    description: str = ""
    model_id: str = ""


class Version(Call, frozen=True, kw_only=True):
    """A version by model and number."""

    name: str
    version: str


class UpdateVersion(Version, frozen=True, kw_only=True):
    """Another description."""

    description: str = ""


class MoveVersion(Version, frozen=True, kw_only=True):
    """A move to a stage."""

    stage: str
    archive_existing_versions: bool = False


class VersionTag(Version, frozen=True, kw_only=True):
    """A tag of a version."""

    key: str
    value: str = ""


class SearchVersions(Call, frozen=True, kw_only=True):
    """A search for versions."""

    filter: str = ""
    max_results: int = 10_000
    order_by: list[str] = []
    page_token: str = ""


class _Source(NamedTuple):
    """What is registered: a folder of a run, a logged model, or another version."""

    run_id: str = ""
    path: str = ""
    copied: tuple[str, int] | None = None
    model_id: str = ""


def _source_of(call: CreateVersion) -> _Source:
    """Read the address of what is registered.

    Raises:
        InvalidInputError: It is none of this server's, or not of the run that is named.
    """
    source = required("source", call.source)
    if found := _VERSION.match(source):
        return _Source(copied=(found[1], int(found[2])))
    if found := _MODEL.match(source):
        place = Place("", "", model_id=found[1])
    elif found := _RUN.match(source):
        place = Place(found[1], check_artifact_path(found[2]))
    elif source.startswith(SCHEME):
        place = parse_place(source.removeprefix(SCHEME))
    else:
        msg = (
            f"Invalid model version source: '{source[:200]}'. Register what was logged to this "
            "server, by runs:/<run_id>/<path> or the run's own artifact_uri."
        )
        raise InvalidInputError(msg)
    if place.version:
        return _Source(copied=place.version)
    if place.model_id:
        if place.path:
            msg = (
                f"Invalid model version source: '{source[:200]}'. A logged model is registered "
                "whole: leave out the path below it."
            )
            raise InvalidInputError(msg)
        if call.model_id and call.model_id != place.model_id:
            msg = (
                f"Invalid model version source: '{source[:200]}'. The model_id request parameter "
                "must identify the resource that contains the source."
            )
            raise InvalidInputError(msg)
        return _Source(call.run_id, model_id=place.model_id)
    if call.run_id and call.run_id != place.run_id:
        msg = (
            f"Invalid model version source: '{source[:200]}'. The run_id request parameter must "
            "identify the resource that contains the source."
        )
        raise InvalidInputError(msg)
    return _Source(place.run_id, place.path)


def _create(backend: Backend, call: CreateVersion) -> dict[str, Any]:
    name = required("name", call.name)
    refuse_prompts(call.tags)
    source = _source_of(call)
    tags = {tag.key: tag.value for tag in call.tags}
    if source.copied is not None:
        copied, number = source.copied
        made = backend.call(
            ops.CopyVersion(
                name=copied, version=number, to=name, source=call.source,
                description=call.description, tags=tags, create_model=False,
            )
        )  # fmt: skip
    else:
        if source.model_id:
            backend.call(ops.GetLoggedModel(model_id=source.model_id))
        made = backend.call(
            ops.RegisterVersion(
                name=name, run_id=source.run_id, artifact_path=source.path, source=call.source,
                tags=tags, description=call.description, run_link=call.run_link,
                logged_model_id=source.model_id or call.model_id, allow_empty=True,
                create_model=False,
            )
        )  # fmt: skip
    return {"model_version": version_answer(made)}


def _get(backend: Backend, call: Version) -> dict[str, Any]:
    return {"model_version": version_answer(_found(backend, call))}


def _found(backend: Backend, call: Version) -> ModelVersion:
    number = version_number(required("version", call.version))
    return backend.call(ops.GetVersion(name=required("name", call.name), version=number))


def _update(backend: Backend, call: UpdateVersion) -> dict[str, Any]:
    asked = ops.UpdateVersion(
        name=call.name, version=version_number(call.version), description=call.description
    )
    return {"model_version": version_answer(backend.call(asked))}


def _move(backend: Backend, call: MoveVersion) -> dict[str, Any]:
    if call.archive_existing_versions and call.stage.lower() not in {"staging", "production"}:
        msg = (
            f"Archiving the versions in stage '{call.stage[:80]}' makes no sense: ask for it with "
            f"{Stage.STAGING.value} or {Stage.PRODUCTION.value}, or send "
            "archive_existing_versions=false."
        )
        raise InvalidInputError(msg)
    asked = ops.TransitionStage(
        name=call.name,
        version=version_number(call.version),
        stage=required("stage", call.stage),
        archive_existing=call.archive_existing_versions,
    )
    return {"model_version": version_answer(backend.call(asked))}


def _delete(backend: Backend, call: Version) -> dict[str, Any]:
    backend.call(ops.DeleteVersion(name=call.name, version=version_number(call.version)))
    return {}


def _search(backend: Backend, call: SearchVersions) -> dict[str, Any]:
    page = backend.call(
        ops.SearchVersions(
            filter=without_prompts(call.filter),
            order_by=call.order_by,
            max_results=call.max_results,
            page_token=call.page_token,
        )
    )
    return {
        "model_versions": [version_answer(each) for each in page.versions],
        "next_page_token": page.next_page_token,
    }


def _download_uri(backend: Backend, call: Version) -> dict[str, Any]:
    version = _found(backend, call)
    number = version.version
    if backend.call(ops.ResolveModel(name=call.name, version=number)).files:
        return {"artifact_uri": f"{SCHEME}{VERSIONS_AT}/{call.name}/{number}/artifacts"}
    # It was registered before its files were logged: they are where they were logged to.
    if version.logged_model_id and not version.artifact_path:
        model = backend.call(ops.GetLoggedModel(model_id=version.logged_model_id))
        return {"artifact_uri": model_root(model.experiment_id, model.model_id)}
    try:
        run = backend.call(ops.GetRun(run_id=version.run_id))
    except NotFoundError:
        return {"artifact_uri": version.source}
    root = artifact_root(run.experiment_id, run.run_id)
    return {"artifact_uri": f"{root}/{version.artifact_path}"}


def _set_tag(backend: Backend, call: VersionTag) -> dict[str, Any]:
    number = version_number(call.version)
    backend.call(ops.SetVersionTags(name=call.name, version=number, tags={call.key: call.value}))
    return {}


def _delete_tag(backend: Backend, call: VersionTag) -> dict[str, Any]:
    number = version_number(call.version)
    backend.call(ops.RemoveVersionTag(name=call.name, version=number, key=call.key))
    return {}


VERSIONS: list[Rule] = [
    asks("model-versions/create", CreateVersion, _create, methods=POST),
    asks("model-versions/get", Version, _get),
    asks("model-versions/update", UpdateVersion, _update, methods=PATCH),
    asks("model-versions/transition-stage", MoveVersion, _move, methods=POST),
    asks("model-versions/delete", Version, _delete, methods=DELETE),
    asks("model-versions/search", SearchVersions, _search),
    asks("model-versions/get-download-uri", Version, _download_uri),
    asks("model-versions/set-tag", VersionTag, _set_tag, methods=POST),
    asks("model-versions/delete-tag", VersionTag, _delete_tag, methods=DELETE),
]
