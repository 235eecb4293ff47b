"""The model registry in the store.

Invariants are keys of the database, not code: a version number is unique, a stage has one
champion, an alias points at one version. Each move and its history are one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, insert, select, update

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records.registry import (
    ModelVersion,
    RegisteredModel,
    ResolvedModel,
    Stage,
    VersionEvent,
)
from loopline.records.tracking import Artifact
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import check_alias, check_artifact_path, check_model_name
from loopline.store import schema
from loopline.store.find import run_row
from loopline.store.runs import artifacts_below, read_run
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "get_model",
    "list_models",
    "list_version_events",
    "list_versions",
    "register_version",
    "remove_alias",
    "resolve_model",
    "set_alias",
    "transition_stage",
]

_model = schema.model
_version = schema.model_version
_file = schema.model_version_file
_champion = schema.champion
_alias = schema.alias
_event = schema.version_event


class _Document(msgspec.Struct):
    """What a version keeps and nothing searches."""

    tags: dict[str, str]
    metrics: dict[str, float | None]
    params: dict[str, str]


def register_version(
    store: Store, connection: Connection, call: ops.RegisterVersion
) -> ModelVersion:
    """Make the next version of a model from a folder of a run; copies no bytes."""
    check_model_name(call.name)
    folder = check_artifact_path(call.artifact_path)
    run = run_row(connection, call.run_id)
    files = artifacts_below(connection, run.pk, folder)
    if not files:
        msg = (
            f"Run {call.run_id} has no files below {folder!r}, so there is no model to register. "
            f"See what it has with `loopline artifacts list {call.run_id}`."
        )
        raise NotFoundError(msg)
    relative = [(file.path[len(folder) + 1 :], file) for file in files]
    facts = read_run(connection, call.run_id)
    now_ms = store.clock()
    number = _next_version(connection, call.name, now_ms)
    document = _Document(tags=call.tags, metrics=dict(facts.data.metrics), params=facts.params)
    connection.execute(
        insert(_version).values(
            name=call.name,
            version=number,
            run_id=call.run_id,
            artifact_path=folder,
            description=call.description,
            digest=manifest_digest((path, file.sha256) for path, file in relative),
            size_bytes=sum(file.size_bytes for file in files),
            created_ms=now_ms,
            updated_ms=now_ms,
            actor=call.actor,
            document=msgspec.json.encode(document).decode(),
        )
    )
    connection.execute(
        insert(_file),
        [
            {
                "name": call.name,
                "version": number,
                "path": path,
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            for path, file in relative
        ],
    )
    _add_event(connection, call.name, number, now_ms, "created", actor=call.actor)
    return _get(connection, call.name, number)


def _next_version(connection: Connection, name: str, now_ms: int) -> int:
    latest = connection.execute(
        select(_model.c.latest_version).where(_model.c.name == name)
    ).scalar_one_or_none()
    if latest is None:
        connection.execute(
            insert(_model).values(name=name, created_ms=now_ms, updated_ms=now_ms, latest_version=1)
        )
        return 1
    connection.execute(
        update(_model)
        .where(_model.c.name == name)
        .values(latest_version=latest + 1, updated_ms=now_ms)
    )
    return int(latest) + 1


def transition_stage(
    store: Store, connection: Connection, call: ops.TransitionStage
) -> ModelVersion:
    """Move a version to a stage and make it the stage's champion."""
    stage = _parse_stage(call.stage)
    row = _version_row(connection, call.name, call.version)
    if call.only_after is not None and _is_champion(connection, call, stage):
        return _get(connection, call.name, call.version)
    now_ms = store.clock()
    held = Stage(row.stage)
    if call.archive_existing and stage in {Stage.STAGING, Stage.PRODUCTION}:
        others = connection.execute(
            select(_version.c.version).where(
                _version.c.name == call.name,
                _version.c.stage == stage,
                _version.c.version != call.version,
            )
        ).scalars()
        for other in list(others):
            _set_stage(connection, call.name, other, Stage.ARCHIVED, now_ms)
            _add_event(
                connection,
                call.name,
                other,
                now_ms,
                "stage",
                before=stage,
                after=Stage.ARCHIVED,
                actor=call.actor,
                reason=f"version {call.version} took its place",
            )
    _set_stage(connection, call.name, call.version, stage, now_ms)
    if held != stage:
        _leave_champion(connection, call.name, call.version, held)
    if stage in {Stage.STAGING, Stage.PRODUCTION}:
        connection.execute(
            InsertOrReplace(_champion).values(name=call.name, stage=stage, version=call.version)
        )
    _add_event(
        connection,
        call.name,
        call.version,
        now_ms,
        "stage",
        before=held,
        after=stage,
        actor=call.actor,
        reason=call.reason,
    )
    return _get(connection, call.name, call.version)


def _is_champion(connection: Connection, call: ops.TransitionStage, stage: Stage) -> bool:
    """Tell whether the move was made already, by who asks again and does not know.

    Raises:
        ConflictError: The champion is neither the version nor the one it was compared with.
    """
    champion = connection.execute(
        select(_champion.c.version).where(_champion.c.name == call.name, _champion.c.stage == stage)
    ).scalar()
    if champion not in {call.version, call.only_after or None}:
        before = f"version {call.only_after}" if call.only_after else "none"
        now = f"version {champion}" if champion else "none"
        msg = (
            f"The move of version {call.version} was decided while {before} was in {stage}, but "
            f"by now it is {now}. Compare again."
        )
        raise ConflictError(msg)
    return bool(champion == call.version)


def _parse_stage(text: str) -> Stage:
    try:
        return Stage(text)
    except ValueError:
        known = ", ".join(stage.value for stage in Stage)
        msg = f"Invalid Model Version stage: {text}. Value must be one of {known}."
        raise InvalidInputError(msg) from None


def _set_stage(connection: Connection, name: str, version: int, stage: Stage, now_ms: int) -> None:
    connection.execute(
        update(_version)
        .where(_version.c.name == name, _version.c.version == version)
        .values(stage=stage, updated_ms=now_ms)
    )


def _leave_champion(connection: Connection, name: str, version: int, stage: Stage) -> None:
    """Pass the stage on to its newest other version, or leave it without a champion."""
    left = delete(_champion).where(
        _champion.c.name == name, _champion.c.stage == stage, _champion.c.version == version
    )
    if connection.execute(left).rowcount == 0:
        return
    heir = connection.execute(
        select(_version.c.version)
        .where(_version.c.name == name, _version.c.stage == stage)
        .order_by(_version.c.updated_ms.desc(), _version.c.version.desc())
        .limit(1)
    ).scalar_one_or_none()
    if heir is not None:
        connection.execute(insert(_champion).values(name=name, stage=stage, version=heir))


def set_alias(store: Store, connection: Connection, call: ops.SetAlias) -> ModelVersion:
    """Point an alias at a version."""
    check_alias(call.alias)
    _version_row(connection, call.name, call.version)
    before = connection.execute(
        select(_alias.c.version).where(_alias.c.name == call.name, _alias.c.alias == call.alias)
    ).scalar_one_or_none()
    connection.execute(
        InsertOrReplace(_alias).values(name=call.name, alias=call.alias, version=call.version)
    )
    _add_event(
        connection,
        call.name,
        call.version,
        store.clock(),
        "alias",
        before="" if before is None else f"{call.alias}: {before}",
        after=f"{call.alias}: {call.version}",
        actor=call.actor,
    )
    return _get(connection, call.name, call.version)


def remove_alias(store: Store, connection: Connection, call: ops.RemoveAlias) -> RegisteredModel:
    """Take an alias away."""
    version = _aliased(connection, call.name, call.alias)
    connection.execute(
        delete(_alias).where(_alias.c.name == call.name, _alias.c.alias == call.alias)
    )
    _add_event(
        connection,
        call.name,
        version,
        store.clock(),
        "alias removed",
        before=f"{call.alias}: {version}",
        actor=call.actor,
    )
    return _model_record(connection, _model_row(connection, call.name))


def list_models(
    _store: Store, connection: Connection, _call: ops.ListModels
) -> list[RegisteredModel]:
    """List registered models by name."""
    rows = connection.execute(select(_model).order_by(_model.c.name)).all()
    return [_model_record(connection, row) for row in rows]


def get_model(_store: Store, connection: Connection, call: ops.GetModel) -> RegisteredModel:
    """Get a registered model."""
    return _model_record(connection, _model_row(connection, call.name))


def list_versions(
    _store: Store, connection: Connection, call: ops.ListVersions
) -> list[ModelVersion]:
    """List the versions of a model, newest first."""
    _model_row(connection, call.name)
    rows = connection.execute(
        select(_version).where(_version.c.name == call.name).order_by(_version.c.version.desc())
    ).all()
    aliases = _aliases(connection, call.name)
    return [_version_record(row, aliases) for row in rows]


def resolve_model(_store: Store, connection: Connection, call: ops.ResolveModel) -> ResolvedModel:
    """Find one version, by exactly one of number, stage or alias, and its files."""
    if bool(call.version) + bool(call.stage) + bool(call.alias) != 1:
        msg = "Say which version: models:/name/3, models:/name/Production or models:/name@alias."
        raise InvalidInputError(msg)
    _model_row(connection, call.name)
    if call.alias:
        number = _aliased(connection, call.name, call.alias)
    elif call.stage:
        number = _champion_of(connection, call.name, call.stage)
    else:
        number = call.version
    version = _get(connection, call.name, number)
    files = connection.execute(
        select(_file)
        .where(_file.c.name == call.name, _file.c.version == number)
        .order_by(_file.c.path)
    )
    return ResolvedModel(
        version=version,
        files=[
            Artifact(path=row.path, sha256=row.sha256, size_bytes=row.size_bytes) for row in files
        ],
    )


def _champion_of(connection: Connection, name: str, stage_text: str) -> int:
    stage = _parse_stage(stage_text)
    if stage in {Stage.STAGING, Stage.PRODUCTION}:
        query = select(_champion.c.version).where(
            _champion.c.name == name, _champion.c.stage == stage
        )
    else:
        query = (
            select(_version.c.version)
            .where(_version.c.name == name, _version.c.stage == stage)
            .order_by(_version.c.version.desc())
            .limit(1)
        )
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        msg = (
            f"Model {name!r} has no version in stage {stage.value}. Promote one with "
            f"`loopline models promote {name} VERSION --stage {stage.value}`."
        )
        raise NotFoundError(msg)
    return int(number)


def list_version_events(
    _store: Store, connection: Connection, call: ops.ListVersionEvents
) -> list[VersionEvent]:
    """List who moved what, newest first."""
    _model_row(connection, call.name)
    rows = connection.execute(
        select(_event).where(_event.c.name == call.name).order_by(_event.c.id.desc())
    )
    return [
        VersionEvent(
            name=row.name,
            version=row.version,
            at_ms=row.at_ms,
            kind=row.kind,
            before=row.before,
            after=row.after,
            actor=row.actor,
            reason=row.reason,
        )
        for row in rows
    ]


def _add_event(  # noqa: PLR0913 - the columns of an event
    connection: Connection,
    name: str,
    version: int,
    at_ms: int,
    kind: str,
    *,
    before: str = "",
    after: str = "",
    actor: str = "",
    reason: str = "",
) -> None:
    connection.execute(
        insert(_event).values(
            name=name,
            version=version,
            at_ms=at_ms,
            kind=kind,
            before=before,
            after=after,
            actor=actor,
            reason=reason,
        )
    )


def _model_row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(_model).where(_model.c.name == name)).first()
    if row is None:
        known = connection.execute(select(_model.c.name).limit(1000)).scalars()
        raise NotFoundError.among(
            "registered model", name, known, hint="List them with `loopline models list`."
        )
    return row


def _version_row(connection: Connection, name: str, number: int) -> Row[Any]:
    row = connection.execute(
        select(_version).where(_version.c.name == name, _version.c.version == number)
    ).first()
    if row is None:
        _model_row(connection, name)
        msg = (
            f"Model {name!r} has no version {number}. "
            f"See its versions with `loopline models show {name}`."
        )
        raise NotFoundError(msg)
    return row


def _aliased(connection: Connection, name: str, alias: str) -> int:
    version = _aliases(connection, name).get(alias)
    if version is None:
        _model_row(connection, name)
        raise NotFoundError.among(
            f"alias of {name}",
            alias,
            _aliases(connection, name),
            hint=f"Set it with `loopline models alias {name} {alias} VERSION`.",
        )
    return version


def _aliases(connection: Connection, name: str) -> dict[str, int]:
    rows = connection.execute(
        select(_alias.c.alias, _alias.c.version)
        .where(_alias.c.name == name)
        .order_by(_alias.c.alias)
    )
    return {row.alias: row.version for row in rows}


def _get(connection: Connection, name: str, number: int) -> ModelVersion:
    return _version_record(_version_row(connection, name, number), _aliases(connection, name))


def _version_record(row: Row[Any], aliases: dict[str, int]) -> ModelVersion:
    document = msgspec.json.decode(row.document, type=_Document)
    return ModelVersion(
        name=row.name,
        version=row.version,
        run_id=row.run_id,
        artifact_path=row.artifact_path,
        stage=Stage(row.stage),
        aliases=[alias for alias, version in aliases.items() if version == row.version],
        description=row.description,
        digest=row.digest,
        size_bytes=row.size_bytes,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        actor=row.actor,
        tags=document.tags,
        metrics={
            key: float("nan") if value is None else value for key, value in document.metrics.items()
        },
        params=document.params,
    )


def _model_record(connection: Connection, row: Row[Any]) -> RegisteredModel:
    champions = connection.execute(
        select(_champion.c.stage, _champion.c.version).where(_champion.c.name == row.name)
    )
    return RegisteredModel(
        name=row.name,
        description=row.description,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        latest_version=row.latest_version,
        champions={champion.stage: champion.version for champion in champions},
        aliases=_aliases(connection, row.name),
    )
