"""Registered models in the store: making, describing, renaming, tagging and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from loopline.errors import AlreadyExistsError
from loopline.records.identity import Thing
from loopline.rules.names import check_description, check_model_name, check_registry_tag
from loopline.store import schema
from loopline.store.registry_rows import MODEL, add_event, insert_model, model_record, model_row
from loopline.store.upserts import InsertOrReplace
from loopline.store.users import forget_grants_on, rename_grants_on

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.registry import RegisteredModel
    from loopline.store.database import Store

__all__ = [
    "create_model",
    "delete_model",
    "remove_model_tag",
    "rename_model",
    "set_model_tags",
    "update_model",
]

_model = schema.model
_tag = schema.model_tag
_event = schema.version_event


def create_model(store: Store, connection: Connection, call: ops.CreateModel) -> RegisteredModel:
    """Make a registered model without versions.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    check_model_name(call.name)
    check_description(call.description)
    _check_free(connection, call.name)
    now_ms = store.clock()
    insert_model(
        connection,
        call.name,
        description=call.description,
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    _set_tags(connection, call.name, call.tags)
    add_event(connection, call.name, 0, now_ms, "created", actor=call.actor)
    return model_record(connection, call.name)


def update_model(store: Store, connection: Connection, call: ops.UpdateModel) -> RegisteredModel:
    """Describe a registered model anew."""
    check_description(call.description)
    model_row(connection, call.name)
    connection.execute(
        update(_model)
        .where(_model.c.name == call.name)
        .values(description=call.description, updated_ms=store.clock())
    )
    return model_record(connection, call.name)


def rename_model(store: Store, connection: Connection, call: ops.RenameModel) -> RegisteredModel:
    """Give a model another name; what belongs to it follows, by its foreign keys.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    check_model_name(call.new_name)
    model_row(connection, call.name)
    if call.new_name == call.name:
        return model_record(connection, call.name)
    _check_free(connection, call.new_name)
    now_ms = store.clock()
    connection.execute(
        update(_model)
        .where(_model.c.name == call.name)
        .values(name=call.new_name, updated_ms=now_ms)
    )
    for kept in (_event, schema.decision):  # History has no foreign keys.
        connection.execute(update(kept).where(kept.c.name == call.name).values(name=call.new_name))
    rename_grants_on(connection, Thing.MODEL, call.name, call.new_name)
    add_event(
        connection,
        call.new_name,
        0,
        now_ms,
        "renamed",
        before=call.name,
        after=call.new_name,
        actor=call.actor,
    )
    return model_record(connection, call.new_name)


def delete_model(store: Store, connection: Connection, call: ops.DeleteModel) -> RegisteredModel:
    """Delete a model with all that belongs to it, by its foreign keys; answer what it was."""
    was = model_record(connection, call.name)
    versions = schema.model_version
    count = connection.execute(
        select(func.count()).select_from(versions).where(versions.c.name == call.name)
    ).scalar_one()
    connection.execute(delete(versions).where(versions.c.name == call.name))
    connection.execute(delete(_model).where(_model.c.name == call.name))
    forget_grants_on(connection, Thing.MODEL, call.name)
    reason = f"with {count} version{'' if count == 1 else 's'}"
    add_event(connection, call.name, 0, store.clock(), "deleted", actor=call.actor, reason=reason)
    return was


def set_model_tags(
    _store: Store, connection: Connection, call: ops.SetModelTags
) -> RegisteredModel:
    """Set tags of a model."""
    model_row(connection, call.name)
    _set_tags(connection, call.name, call.tags)
    return model_record(connection, call.name)


def remove_model_tag(
    _store: Store, connection: Connection, call: ops.RemoveModelTag
) -> RegisteredModel:
    """Take a tag off a model, if it is there."""
    model_row(connection, call.name)
    connection.execute(delete(_tag).where(_tag.c.name == call.name, _tag.c.key == call.key))
    return model_record(connection, call.name)


def _check_free(connection: Connection, name: str) -> None:
    if connection.execute(MODEL, {"name": name}).first() is not None:
        msg = f"Registered Model (name={name}) already exists. Go on with it, or take another name."
        raise AlreadyExistsError(msg)


def _set_tags(connection: Connection, name: str, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_registry_tag(key, value)
    if tags:
        connection.execute(
            InsertOrReplace(_tag),
            [{"name": name, "key": key, "value": value} for key, value in tags.items()],
        )
