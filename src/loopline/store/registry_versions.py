"""Model versions in the store: registering, describing, tagging and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, insert, literal, select, update

from loopline.errors import InvalidInputError
from loopline.records.registry import Stage
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import (
    check_artifact_path,
    check_description,
    check_id,
    check_model_name,
    check_registry_tag,
    check_text,
)
from loopline.store import schema
from loopline.store.registry_files import checked_files, insert_files, made_by
from loopline.store.registry_moves import pass_on_champion
from loopline.store.registry_rows import (
    MODEL,
    Document,
    add_event,
    insert_model,
    model_record,
    no_model,
    version_record,
    version_row,
)
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.store.database import Store

__all__ = [
    "copy_version",
    "delete_version",
    "register_version",
    "remove_version_tag",
    "set_version_tags",
    "update_version",
]

MAX_ADDRESS = 65_536

_model = schema.model
_version = schema.model_version
_file = schema.model_version_file
_tag = schema.model_version_tag


def register_version(
    store: Store, connection: Connection, call: ops.RegisterVersion
) -> ModelVersion:
    """Make the next version of a model from a folder of a run; copies no bytes.

    Raises:
        NotFoundError: There is no such run or model, or the run has no such files.
    """
    _check(call)
    _check_model(connection, call.name, create=call.create_model)
    folder = check_artifact_path(call.artifact_path) if call.artifact_path else ""
    made = made_by(connection, call, folder)
    files = checked_files(call.files) if call.files else made.files
    document = Document(
        metrics={**made.document.metrics, **call.metrics},
        params={**made.document.params, **call.params},
    )
    now_ms = store.clock()
    number = _next_version(connection, call.name, now_ms)
    place = {"name": call.name, "version": number}
    connection.execute(
        insert(_version).values(
            **place,
            run_id=made.run_id,
            artifact_path=folder,
            source=call.source,
            run_link=call.run_link,
            logged_model_id=call.logged_model_id,
            description=call.description,
            digest=manifest_digest((file.path, file.sha256) for file in files),
            size_bytes=sum(file.size_bytes for file in files),
            created_ms=now_ms,
            updated_ms=now_ms,
            actor=call.actor,
            document=msgspec.json.encode(document).decode(),
        )
    )
    insert_files(connection, call.name, number, files)
    _set_tags(connection, call.name, number, call.tags)
    add_event(
        connection, call.name, number, now_ms, "created", actor=call.actor, reason=call.reason
    )
    return version_record(connection, call.name, number)


def _check_model(connection: Connection, name: str, *, create: bool) -> None:
    if not create and connection.execute(MODEL, {"name": name}).first() is None:
        raise no_model(connection, name)


def _check(call: ops.RegisterVersion) -> None:
    check_model_name(call.name)
    check_description(call.description)
    check_text("source", call.source, MAX_ADDRESS)
    check_text("run link", call.run_link, MAX_ADDRESS)
    check_text("reason", call.reason, MAX_ADDRESS)
    if call.logged_model_id:
        check_id("logged model id", call.logged_model_id)
    if call.run_id:
        check_id("run id", call.run_id)
    if (
        not call.allow_empty
        and not call.logged_model_id
        and not (call.run_id and call.artifact_path)
    ):
        msg = (
            "A version is made from a folder of a run or from a logged model: give run_id and "
            "artifact_path, or logged_model_id. One whose files are elsewhere needs allow_empty."
        )
        raise InvalidInputError(msg)


def _next_version(connection: Connection, name: str, now_ms: int) -> int:
    row = connection.execute(MODEL, {"name": name}).first()
    if row is None:
        insert_model(connection, name, created_ms=now_ms, updated_ms=now_ms, latest_version=1)
        return 1
    number = int(row.latest_version) + 1
    connection.execute(
        update(_model).where(_model.c.name == name).values(latest_version=number, updated_ms=now_ms)
    )
    return number


def copy_version(store: Store, connection: Connection, call: ops.CopyVersion) -> ModelVersion:
    """Make the next version of a model from a version there is, with the very files it has.

    Raises:
        NotFoundError: There is no such version, or no such model and none is to be made.
    """
    check_model_name(call.to)
    check_text("source", call.source, MAX_ADDRESS)
    row = version_row(connection, call.name, call.version)
    was = version_record(connection, call.name, call.version)
    description = was.description if call.description is None else call.description
    check_description(description)
    _check_model(connection, call.to, create=call.create_model)
    now_ms = store.clock()
    number = _next_version(connection, call.to, now_ms)
    connection.execute(
        insert(_version).values(
            {
                **{column.name: row._mapping[column.name] for column in _version.c},  # noqa: SLF001
                "name": call.to,
                "version": number,
                "source": call.source or was.source,
                "stage": Stage.NONE,
                "description": description,
                "created_ms": now_ms,
                "updated_ms": now_ms,
                "actor": call.actor,
            }
        )
    )
    files = select(
        literal(call.to), literal(number), _file.c.path, _file.c.sha256, _file.c.size_bytes
    ).where(_file.c.name == call.name, _file.c.version == call.version)
    columns = ("name", "version", "path", "sha256", "size_bytes")
    connection.execute(insert(_file).from_select(columns, files))
    _set_tags(connection, call.to, number, was.tags if call.tags is None else call.tags)
    reason = f"copied from version {call.version} of {call.name}"
    add_event(connection, call.to, number, now_ms, "created", actor=call.actor, reason=reason)
    return version_record(connection, call.to, number)


def update_version(store: Store, connection: Connection, call: ops.UpdateVersion) -> ModelVersion:
    """Describe a version anew."""
    check_description(call.description)
    version_row(connection, call.name, call.version)
    connection.execute(
        update(_version)
        .where(_version.c.name == call.name, _version.c.version == call.version)
        .values(description=call.description, updated_ms=store.clock())
    )
    return version_record(connection, call.name, call.version)


def delete_version(
    store: Store, connection: Connection, call: ops.DeleteVersion
) -> RegisteredModel:
    """Delete a version with its aliases, tags and list of files; its number is not used again."""
    was = version_record(connection, call.name, call.version)
    now_ms = store.clock()
    pass_on_champion(connection, call.name, call.version, was.stage)
    connection.execute(
        delete(_version).where(_version.c.name == call.name, _version.c.version == call.version)
    )
    connection.execute(update(_model).where(_model.c.name == call.name).values(updated_ms=now_ms))
    for alias in was.aliases:
        add_event(
            connection,
            call.name,
            call.version,
            now_ms,
            "alias removed",
            before=f"{alias}: {call.version}",
            actor=call.actor,
            reason=f"version {call.version} was deleted",
        )
    add_event(
        connection, call.name, call.version, now_ms, "deleted", before=was.stage, actor=call.actor
    )
    return model_record(connection, call.name)


def set_version_tags(
    _store: Store, connection: Connection, call: ops.SetVersionTags
) -> ModelVersion:
    """Set tags of a version."""
    version_row(connection, call.name, call.version)
    _set_tags(connection, call.name, call.version, call.tags)
    return version_record(connection, call.name, call.version)


def remove_version_tag(
    _store: Store, connection: Connection, call: ops.RemoveVersionTag
) -> ModelVersion:
    """Take a tag off a version, if it is there."""
    version_row(connection, call.name, call.version)
    connection.execute(
        delete(_tag).where(
            _tag.c.name == call.name, _tag.c.version == call.version, _tag.c.key == call.key
        )
    )
    return version_record(connection, call.name, call.version)


def _set_tags(connection: Connection, name: str, number: int, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_registry_tag(key, value)
    rows = [
        {"name": name, "version": number, "key": key, "value": value} for key, value in tags.items()
    ]
    if rows:
        connection.execute(InsertOrReplace(_tag), rows)
