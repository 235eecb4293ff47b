"""Stages of a model's own, beside the four that every model has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.registry import Stage
from loopline.rules.names import check_stage
from loopline.store import schema
from loopline.store.registry_rows import add_event, find_stage, model_record, model_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.registry import RegisteredModel
    from loopline.store.database import Store

__all__ = ["add_stage", "remove_stage"]

MOST_STAGES = 30

_model = schema.model
_stage = schema.stage
_version = schema.model_version


def add_stage(store: Store, connection: Connection, call: ops.AddStage) -> RegisteredModel:
    """Give a model a stage of its own, or say anew what MLflow's clients see of it.

    Raises:
        InvalidInputError: The name cannot be, is one of the four, or ``seen_as`` cannot be.
    """
    model_row(connection, call.name)
    folded = check_stage(call.stage).lower()
    if folded in {each.value.lower() for each in Stage}:
        msg = f"Every model has the stage {Stage(call.stage).value}. Take another name."
        raise InvalidInputError(msg)
    seen_as = _seen_as(call.seen_as)
    here = (_stage.c.name == call.name) & (_stage.c.folded == folded)
    row = connection.execute(select(_stage).where(here)).first()
    if row is not None and row.seen_as == seen_as:
        return model_record(connection, call.name)
    if row is not None:
        connection.execute(update(_stage).where(here).values(seen_as=seen_as))
    else:
        _check_room(connection, call.name)
        connection.execute(
            insert(_stage).values(name=call.name, stage=call.stage, folded=folded, seen_as=seen_as)
        )
    now_ms = store.clock()
    add_event(
        connection,
        call.name,
        0,
        now_ms,
        "stage added",
        after=call.stage if row is None else row.stage,
        actor=call.actor,
        reason=f"MLflow's clients see {seen_as.value}",
    )
    connection.execute(update(_model).where(_model.c.name == call.name).values(updated_ms=now_ms))
    return model_record(connection, call.name)


def remove_stage(store: Store, connection: Connection, call: ops.RemoveStage) -> RegisteredModel:
    """Take away a stage of a model's own.

    Raises:
        InvalidInputError: It has no such stage, or it is one of the four.
        ConflictError: Versions stand in it.
    """
    model_row(connection, call.name)
    stage = find_stage(connection, call.name, call.stage)
    if stage in {each.value for each in Stage}:
        msg = f"Every model has the stage {stage}; it cannot be taken away."
        raise InvalidInputError(msg)
    standing = connection.execute(
        select(func.count())
        .select_from(_version)
        .where(_version.c.name == call.name, _version.c.stage == stage)
    ).scalar_one()
    if standing:
        msg = (
            f"{standing} version{'' if standing == 1 else 's'} of {call.name!r} "
            f"{'stands' if standing == 1 else 'stand'} in {stage}. Move them to another stage "
            "first."
        )
        raise ConflictError(msg)
    connection.execute(delete(_stage).where(_stage.c.name == call.name, _stage.c.stage == stage))
    now_ms = store.clock()
    add_event(connection, call.name, 0, now_ms, "stage removed", before=stage, actor=call.actor)
    connection.execute(update(_model).where(_model.c.name == call.name).values(updated_ms=now_ms))
    return model_record(connection, call.name)


def _seen_as(text: str) -> Stage:
    """Read what MLflow's clients are to see; Production is what was moved there, and no other."""
    allowed = (Stage.NONE, Stage.STAGING, Stage.ARCHIVED)
    try:
        seen_as = Stage(text)
    except ValueError:
        seen_as = Stage.PRODUCTION
    if seen_as not in allowed:
        msg = (
            f"MLflow's clients can see a stage of a model's own as {', '.join(allowed)}, not as "
            f"{text[:80]!r}. What they take for Production is what was moved there."
        )
        raise InvalidInputError(msg)
    return seen_as


def _check_room(connection: Connection, name: str) -> None:
    query = select(func.count()).select_from(_stage).where(_stage.c.name == name)
    if connection.execute(query).scalar_one() >= MOST_STAGES + len(Stage):
        msg = f"Model {name!r} has {MOST_STAGES} stages of its own. Take one away first."
        raise InvalidInputError(msg)
