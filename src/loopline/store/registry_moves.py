"""Moves in the registry: stages with their champions, and aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.registry import Stage
from loopline.rules.names import check_alias
from loopline.store import schema
from loopline.store.registry_files import adopt_files
from loopline.store.registry_rows import (
    add_event,
    alias_target,
    find_stage,
    model_record,
    model_row,
    version_record,
    version_row,
)
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.store.database import Store

__all__ = ["pass_on_champion", "remove_alias", "set_alias", "transition_stage"]

#: Stages without a champion. Any other has one, and a move there archives those before it.
IDLE = frozenset({Stage.NONE.value, Stage.ARCHIVED.value})

_model = schema.model
_version = schema.model_version
_champion = schema.champion
_alias = schema.alias


def transition_stage(
    store: Store, connection: Connection, call: ops.TransitionStage
) -> ModelVersion:
    """Move a version to a stage and make it the stage's champion."""
    row = version_row(connection, call.name, call.version)
    stage = find_stage(connection, call.name, call.stage)
    if call.archive_existing and stage in IDLE:
        msg = (
            f"The versions in {stage} cannot be archived for another one, only those in stages "
            "that are in use. Leave archive_existing out."
        )
        raise InvalidInputError(msg)
    if call.only_after is not None and _is_champion(connection, call, stage):
        return version_record(connection, call.name, call.version)
    now_ms = store.clock()
    adopt_files(connection, row, now_ms, call.actor)
    held = str(row.stage)
    # A champion stands in its stage, says the schema: first nobody is, then versions move.
    if held != stage:
        pass_on_champion(connection, call.name, call.version, held)
    connection.execute(
        delete(_champion).where(_champion.c.name == call.name, _champion.c.stage == stage)
    )
    if stage not in IDLE and call.archive_existing is not False:
        _archive_others(connection, call, stage, now_ms)
    _set_stage(connection, call.name, call.version, stage, now_ms)
    if stage not in IDLE:
        connection.execute(
            insert(_champion).values(name=call.name, stage=stage, version=call.version)
        )
    add_event(
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
    connection.execute(update(_model).where(_model.c.name == call.name).values(updated_ms=now_ms))
    return version_record(connection, call.name, call.version)


def _archive_others(
    connection: Connection, call: ops.TransitionStage, stage: str, now_ms: int
) -> None:
    others = connection.execute(
        select(_version.c.version).where(
            _version.c.name == call.name,
            _version.c.stage == stage,
            _version.c.version != call.version,
        )
    ).scalars()
    for other in list(others):
        _set_stage(connection, call.name, other, Stage.ARCHIVED, now_ms)
        add_event(
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


def _is_champion(connection: Connection, call: ops.TransitionStage, stage: str) -> bool:
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


def _set_stage(connection: Connection, name: str, version: int, stage: str, now_ms: int) -> None:
    connection.execute(
        update(_version)
        .where(_version.c.name == name, _version.c.version == version)
        .values(stage=stage, updated_ms=now_ms)
    )


def pass_on_champion(connection: Connection, name: str, version: int, stage: str) -> None:
    """Pass a stage that a version leaves on to its newest other one, or leave it without."""
    left = delete(_champion).where(
        _champion.c.name == name, _champion.c.stage == stage, _champion.c.version == version
    )
    if connection.execute(left).rowcount == 0:
        return
    heir = connection.execute(
        select(_version.c.version)
        .where(_version.c.name == name, _version.c.stage == stage, _version.c.version != version)
        .order_by(_version.c.updated_ms.desc(), _version.c.version.desc())
        .limit(1)
    ).scalar_one_or_none()
    if heir is not None:
        connection.execute(insert(_champion).values(name=name, stage=stage, version=heir))


def set_alias(store: Store, connection: Connection, call: ops.SetAlias) -> ModelVersion:
    """Point an alias at a version."""
    check_alias(call.alias)
    row = version_row(connection, call.name, call.version)
    adopt_files(connection, row, store.clock(), call.actor)
    before = connection.execute(
        select(_alias.c.version).where(_alias.c.name == call.name, _alias.c.alias == call.alias)
    ).scalar_one_or_none()
    connection.execute(
        InsertOrReplace(_alias).values(name=call.name, alias=call.alias, version=call.version)
    )
    add_event(
        connection,
        call.name,
        call.version,
        store.clock(),
        "alias",
        before="" if before is None else f"{call.alias}: {before}",
        after=f"{call.alias}: {call.version}",
        actor=call.actor,
    )
    return version_record(connection, call.name, call.version)


def remove_alias(store: Store, connection: Connection, call: ops.RemoveAlias) -> RegisteredModel:
    """Take an alias away."""
    if call.missing_ok:
        model_row(connection, call.name)
        query = select(_alias.c.version).where(
            _alias.c.name == call.name, _alias.c.alias == call.alias
        )
        if connection.execute(query).first() is None:
            return model_record(connection, call.name)
    version = alias_target(connection, call.name, call.alias)
    connection.execute(
        delete(_alias).where(_alias.c.name == call.name, _alias.c.alias == call.alias)
    )
    add_event(
        connection,
        call.name,
        version,
        store.clock(),
        "alias removed",
        before=f"{call.alias}: {version}",
        actor=call.actor,
    )
    return model_record(connection, call.name)
