"""Registered models and versions moved in from elsewhere, under the numbers they had there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, insert, select, update

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.operations import GetModel, ResolveModel
from loopline.records.registry import VersionEvent
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import (
    MAX_KEY,
    MAX_REGISTRY_TAG_VALUE,
    check_alias,
    check_artifact_path,
    check_model_name,
    check_text,
)
from loopline.store import schema
from loopline.store.registry import get_model, resolve_model
from loopline.store.registry_rows import Document, ensure_stage, insert_model
from loopline.store.upserts import InsertOrIgnore, InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.records.tracking import Artifact
    from loopline.store.database import Store

__all__ = ["import_model", "import_version"]

_model = schema.model
_version = schema.model_version
_file = schema.model_version_file
_champion = schema.champion
_alias = schema.alias
_event = schema.version_event


def import_version(store: Store, connection: Connection, call: ops.ImportVersion) -> ModelVersion:
    """Make a version under the number it had, or add what is new to it.

    Raises:
        ConflictError: The number belongs to a version made at another time.
    """
    given = call.version
    check_model_name(given.name)
    if given.version < 1:
        msg = f"A version's number counts from 1; {given.version} was given."
        raise InvalidInputError(msg)
    row = connection.execute(
        select(_version).where(_version.c.name == given.name, _version.c.version == given.version)
    ).first()
    if row is None:
        _insert_version(connection, given)
        _add_files(connection, given, call.files)
    else:
        if row.created_ms != given.created_ms:
            msg = (
                f"Version {given.version} of model {given.name!r} is another one here, made at "
                f"{row.created_ms} ms and not at {given.created_ms} ms. Rename one of the models, "
                "or import into another store."
            )
            raise ConflictError(msg)
        _renew_version(connection, row, call)
    answer = resolve_model(store, connection, ResolveModel(name=given.name, version=given.version))
    return answer.version


def _insert_version(connection: Connection, given: ModelVersion) -> None:
    model = connection.execute(select(_model).where(_model.c.name == given.name)).first()
    if model is None:
        insert_model(
            connection,
            given.name,
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
            latest_version=given.version,
        )
    elif model.latest_version < given.version:
        connection.execute(
            update(_model).where(_model.c.name == given.name).values(latest_version=given.version)
        )
    ensure_stage(connection, given.name, given.stage, given.seen_as)
    connection.execute(
        insert(_version).values(
            name=given.name,
            version=given.version,
            run_id=given.run_id,
            artifact_path=check_artifact_path(given.artifact_path) if given.artifact_path else "",
            source=given.source,
            run_link=given.run_link,
            logged_model_id=given.logged_model_id,
            stage=given.stage,
            status=given.status,
            status_message=given.status_message,
            description=given.description,
            digest=manifest_digest([]),
            size_bytes=0,
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
            actor=given.actor,
            document=msgspec.json.encode(
                Document(metrics=dict(given.metrics), params=given.params)
            ).decode(),
        )
    )
    _add_version_tags(connection, given, replace=True)


def _add_version_tags(connection: Connection, given: ModelVersion, *, replace: bool) -> None:
    """Add tags; of a key that is there, only to ``replace`` its value."""
    _check_tags(given.tags)
    rows = [
        {"name": given.name, "version": given.version, "key": key, "value": value}
        for key, value in given.tags.items()
    ]
    if rows:
        insertion = InsertOrReplace if replace else InsertOrIgnore
        connection.execute(insertion(schema.model_version_tag), rows)


def _add_files(connection: Connection, given: ModelVersion, files: list[Artifact]) -> None:
    if not files:
        return
    connection.execute(
        insert(_file),
        [
            {
                "name": given.name,
                "version": given.version,
                "path": check_artifact_path(file.path),
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            for file in files
        ],
    )
    connection.execute(
        update(_version)
        .where(_version.c.name == given.name, _version.c.version == given.version)
        .values(
            artifact_path=given.artifact_path,
            digest=manifest_digest((file.path, file.sha256) for file in files),
            size_bytes=sum(file.size_bytes for file in files),
        )
    )


def _renew_version(connection: Connection, row: Row[Any], call: ops.ImportVersion) -> None:
    """Give a version the files that could not be had before, and its new tags."""
    given = call.version
    known = connection.execute(
        select(_file.c.path).where(_file.c.name == given.name, _file.c.version == given.version)
    ).first()
    if known is None:
        _add_files(connection, given, call.files)
    _add_version_tags(connection, given, replace=call.update)
    columns: dict[str, Any] = {}
    if call.update:
        columns = {
            "stage": given.stage,
            "description": given.description,
            "updated_ms": given.updated_ms,
            "status": given.status,
            "status_message": given.status_message,
        }
        ensure_stage(connection, given.name, given.stage, given.seen_as)
        if row.stage != given.stage:
            connection.execute(
                delete(_champion).where(
                    _champion.c.name == given.name, _champion.c.version == given.version
                )
            )
    elif not row.description and given.description:
        columns = {"description": given.description}
    if columns:
        connection.execute(
            update(_version)
            .where(_version.c.name == given.name, _version.c.version == given.version)
            .values(**columns)
        )


def import_model(store: Store, connection: Connection, call: ops.ImportModel) -> RegisteredModel:
    """Make a model as it was, or add what is new to the one of its name."""
    given = call.model
    check_model_name(given.name)
    row = connection.execute(select(_model).where(_model.c.name == given.name)).first()
    if row is None:
        insert_model(
            connection,
            given.name,
            description=given.description,
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
            latest_version=given.latest_version,
        )
    else:
        _renew_model(connection, row, call)
    for stage, seen_as in given.stages.items():
        ensure_stage(connection, given.name, stage, seen_as)
    _add_model_tags(connection, given, replace=call.update)
    versions = {
        version.version: version.stage
        for version in connection.execute(
            select(_version.c.version, _version.c.stage).where(_version.c.name == given.name)
        )
    }
    _add_aliases(connection, call, versions)
    _add_champions(connection, call, versions)
    _add_events(connection, given.name, call.events)
    return get_model(store, connection, GetModel(name=given.name))


def _renew_model(connection: Connection, row: Row[Any], call: ops.ImportModel) -> None:
    given = call.model
    columns: dict[str, Any] = {"latest_version": max(row.latest_version, given.latest_version)}
    if call.update or row.created_ms == given.created_ms:
        columns["updated_ms"] = given.updated_ms
    if call.update or not row.description:
        columns["description"] = given.description
    connection.execute(update(_model).where(_model.c.name == given.name).values(**columns))


def _check_tags(tags: dict[str, str]) -> None:
    """Check what comes from elsewhere, where a key may hold signs that a new one may not."""
    for key, value in tags.items():
        check_text(f"tag key {key[:40]!r}", key, MAX_KEY)
        check_text(f"value of tag {key[:40]!r}", value, MAX_REGISTRY_TAG_VALUE)


def _add_model_tags(connection: Connection, given: RegisteredModel, *, replace: bool) -> None:
    """Add tags; of a key that is there, only to ``replace`` its value."""
    _check_tags(given.tags)
    rows = [{"name": given.name, "key": key, "value": value} for key, value in given.tags.items()]
    if rows:
        insertion = InsertOrReplace if replace else InsertOrIgnore
        connection.execute(insertion(schema.model_tag), rows)


def _add_aliases(connection: Connection, call: ops.ImportModel, versions: dict[int, str]) -> None:
    name = call.model.name
    rows = connection.execute(select(_alias).where(_alias.c.name == name))
    known = {row.alias: row.version for row in rows}
    for alias, version in call.model.aliases.items():
        check_alias(alias)
        if version not in versions:
            msg = (
                f"The alias {alias!r} of {name!r} means version {version}, which is not here. "
                "Import the version first."
            )
            raise InvalidInputError(msg)
        if alias not in known:
            connection.execute(insert(_alias).values(name=name, alias=alias, version=version))
        elif call.update and known[alias] != version:
            connection.execute(
                update(_alias)
                .where(_alias.c.name == name, _alias.c.alias == alias)
                .values(version=version)
            )


def _add_champions(connection: Connection, call: ops.ImportModel, versions: dict[int, str]) -> None:
    """Set what ``models:/name/Stage`` means where nothing says so yet, or always to ``update``."""
    name = call.model.name
    rows = connection.execute(select(_champion).where(_champion.c.name == name))
    known = {row.stage: row.version for row in rows}
    for stage, version in call.model.champions.items():
        if versions.get(version) != stage:
            continue  # Moved here since; then somebody here said who is champion.
        if stage not in known:
            connection.execute(insert(_champion).values(name=name, stage=stage, version=version))
        elif call.update and known[stage] != version:
            connection.execute(
                update(_champion)
                .where(_champion.c.name == name, _champion.c.stage == stage)
                .values(version=version)
            )


def _add_events(connection: Connection, name: str, events: list[VersionEvent]) -> None:
    rows = connection.execute(select(_event).where(_event.c.name == name))
    fields = VersionEvent.__struct_fields__
    known = {tuple(getattr(row, field) for field in fields) for row in rows}
    new = [event for event in events if tuple(getattr(event, f) for f in fields) not in known]
    if new:
        connection.execute(
            insert(_event), [{**msgspec.structs.asdict(event), "name": name} for event in new]
        )
