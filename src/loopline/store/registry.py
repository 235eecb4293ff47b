"""The model registry in the store: what can be asked of it.

Invariants are keys of the database, not code: a version number is unique, a stage has one
champion, an alias points at one version, and champions, aliases, tags and files belong to a
version that is there. Each move and its history are one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, tuple_

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.identity import Thing
from loopline.records.registry import (
    ModelVersion,
    RegisteredModel,
    ResolvedModel,
    Stage,
    VersionEvent,
)
from loopline.records.tracking import Artifact
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.registry_rows import (
    VERSIONS,
    alias_target,
    find_stage,
    model_record,
    model_records,
    model_row,
    no_model,
    version_record,
    version_records,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "get_latest_versions",
    "get_model",
    "get_version",
    "list_models",
    "list_version_events",
    "list_versions",
    "resolve_model",
]

#: Models whose latest versions are asked for at once.
MAX_NAMES = 1_000

_model = schema.model
_version = schema.model_version
_file = schema.model_version_file
_champion = schema.champion
_event = schema.version_event
_stage = schema.stage


def list_models(
    _store: Store, connection: Connection, _call: ops.ListModels
) -> list[RegisteredModel]:
    """List registered models by name."""
    query = select(_model).where(*only_visible(connection, Thing.MODEL, _model.c.name))
    rows = connection.execute(query.order_by(_model.c.name)).all()
    return model_records(connection, rows)


def get_model(_store: Store, connection: Connection, call: ops.GetModel) -> RegisteredModel:
    """Get a registered model."""
    return model_record(connection, call.name)


def list_versions(
    _store: Store, connection: Connection, call: ops.ListVersions
) -> list[ModelVersion]:
    """List the versions of a model, newest first."""
    model_row(connection, call.name)
    rows = connection.execute(
        VERSIONS.where(_version.c.name == call.name).order_by(_version.c.version.desc())
    ).all()
    return version_records(connection, rows)


def get_version(_store: Store, connection: Connection, call: ops.GetVersion) -> ModelVersion:
    """Get a version by its number."""
    return version_record(connection, call.name, call.version)


def get_latest_versions(
    _store: Store, connection: Connection, call: ops.GetLatestVersions
) -> list[ModelVersion]:
    """Get the highest version in each stage: by name as asked, then by number."""
    if len(call.names) > MAX_NAMES:
        msg = f"At most {MAX_NAMES:,} models can be named at once; {len(call.names):,} were."
        raise InvalidInputError(msg)
    there = set(
        connection.execute(select(_model.c.name).where(_model.c.name.in_(call.names))).scalars()
    )
    for name in call.names:
        if name not in there:
            raise no_model(connection, name)
    stand = _stage.c.seen_as if call.as_mlflow else _stage.c.stage
    highest = (
        select(_version.c.name, func.max(_version.c.version))
        .join(_stage, (_stage.c.name == _version.c.name) & (_stage.c.stage == _version.c.stage))
        .where(_version.c.name.in_(call.names))
        .group_by(_version.c.name, stand)
    )
    if call.stages:
        wanted = {find_stage(connection, name, text) for name in call.names for text in call.stages}
        highest = highest.where(stand.in_(wanted))
    query = VERSIONS.where(tuple_(_version.c.name, _version.c.version).in_(highest))
    rows = connection.execute(query).all()
    places = {name: place for place, name in enumerate(call.names)}
    ordered = sorted(rows, key=lambda row: (places[row.name], row.version))
    return version_records(connection, ordered)


def resolve_model(_store: Store, connection: Connection, call: ops.ResolveModel) -> ResolvedModel:
    """Find one version, by exactly one of number, stage, alias or latest, and its files."""
    if [bool(call.version), bool(call.stage), bool(call.alias), call.latest].count(True) != 1:
        msg = "Say which version: models:/name/3, models:/name/Production or models:/name@alias."
        raise InvalidInputError(msg)
    model = model_row(connection, call.name)
    if call.latest:
        number = _highest_of(connection, call.name) or int(model.latest_version)
    elif call.alias:
        number = alias_target(connection, call.name, call.alias)
    elif call.stage:
        number = _champion_of(connection, call.name, call.stage)
    else:
        number = call.version
    version = version_record(connection, call.name, number)
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


def _highest_of(connection: Connection, name: str) -> int | None:
    """Tell the highest number that a version there is has."""
    query = select(func.max(_version.c.version)).where(_version.c.name == name)
    number: int | None = connection.execute(query).scalar_one()
    return number


def _champion_of(connection: Connection, name: str, stage_text: str) -> int:
    stage = find_stage(connection, name, stage_text)
    if stage not in {Stage.NONE, Stage.ARCHIVED}:
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
            f"Model {name!r} has no version in stage {stage}. Promote one with "
            f"`loopline models promote {name} VERSION --stage {stage}`."
        )
        raise NotFoundError(msg)
    return int(number)


def list_version_events(
    _store: Store, connection: Connection, call: ops.ListVersionEvents
) -> list[VersionEvent]:
    """List who moved what, newest first; of a deleted model, too."""
    rows = connection.execute(
        select(_event).where(_event.c.name == call.name).order_by(_event.c.id.desc())
    ).all()
    if not rows:
        model_row(connection, call.name)
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
