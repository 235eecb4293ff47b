"""Experiments in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
from loopline.records.tracking import Experiment
from loopline.rules.names import check_experiment_name
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.inserted import inserted_id
from loopline.store.lifecycle import set_lifecycle_of_experiment
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records.operations import (
        DeleteExperiment,
        EnsureExperiment,
        GetExperiment,
        ListExperiments,
        RestoreExperiment,
    )
    from loopline.store.database import Store

__all__ = [
    "delete_experiment",
    "ensure",
    "ensure_experiment",
    "get_experiment",
    "list_experiments",
    "restore_experiment",
]

_experiment = schema.experiment
#: Digits of an experiment id beyond which no database number has it.
MAX_DIGITS = 18


def ensure(connection: Connection, name: str, now_ms: int) -> int:
    """Get the number of the experiment of this name, making it when missing.

    One that was deleted is brought back, for a run that begins in it must be seen; the runs that
    were deleted with it stay so.
    """
    found = connection.execute(
        select(_experiment.c.id, _experiment.c.lifecycle).where(_experiment.c.name == name)
    ).first()
    if found is not None:
        if found.lifecycle != Lifecycle.ACTIVE:
            connection.execute(
                update(_experiment)
                .where(_experiment.c.id == found.id)
                .values(lifecycle=Lifecycle.ACTIVE, updated_ms=now_ms)
            )
        return int(found.id)
    check_experiment_name(name)
    made = connection.execute(
        insert(_experiment).values(name=name, created_ms=now_ms, updated_ms=now_ms)
    )
    return inserted_id(made)


def parse_id(text: str) -> int:
    """Turn an experiment id into its number; what cannot be one is -1, which nothing has."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else -1


def find(connection: Connection, experiment_id: str) -> Row[tuple[object, ...]]:
    """Get an experiment's row by its id."""
    number = parse_id(experiment_id)
    row = connection.execute(select(_experiment).where(_experiment.c.id == number)).first()
    if row is None:
        msg = (
            f"No Experiment with id={experiment_id} exists. "
            "List them with `loopline experiments list`."
        )
        raise NotFoundError(msg)
    return row


def ensure_experiment(store: Store, connection: Connection, call: EnsureExperiment) -> Experiment:
    """Get the experiment of this name, creating it when missing."""
    number = ensure(connection, call.name, store.clock())
    for key, value in call.tags.items():
        connection.execute(
            InsertOrReplace(schema.experiment_tag).values(
                experiment_id=number, key=key, value=value
            )
        )
    return _record(connection, find(connection, str(number)))


def get_experiment(_store: Store, connection: Connection, call: GetExperiment) -> Experiment:
    """Get an experiment by id or by name."""
    if bool(call.experiment_id) == bool(call.name):
        msg = "Ask for an experiment either by experiment_id or by name."
        raise InvalidInputError(msg)
    if call.experiment_id:
        return _record(connection, find(connection, call.experiment_id))
    row = connection.execute(select(_experiment).where(_experiment.c.name == call.name)).first()
    if row is None:
        known = connection.execute(select(_experiment.c.name).limit(1000)).scalars()
        raise NotFoundError.among(
            "experiment",
            call.name,
            known,
            hint="List them with `loopline experiments list`.",
        )
    return _record(connection, row)


def list_experiments(
    _store: Store, connection: Connection, call: ListExperiments
) -> list[Experiment]:
    """List experiments, newest change first."""
    query = select(_experiment).order_by(_experiment.c.updated_ms.desc(), _experiment.c.id.desc())
    query = query.where(*only_visible(connection, Thing.EXPERIMENT, _experiment.c.id))
    if not call.include_deleted:
        query = query.where(_experiment.c.lifecycle == Lifecycle.ACTIVE)
    return [_record(connection, row) for row in connection.execute(query).all()]


def delete_experiment(store: Store, connection: Connection, call: DeleteExperiment) -> Experiment:
    """Soft-delete an experiment and its runs."""
    return _set_lifecycle(store, connection, call.experiment_id, Lifecycle.DELETED)


def restore_experiment(store: Store, connection: Connection, call: RestoreExperiment) -> Experiment:
    """Undo a deletion."""
    return _set_lifecycle(store, connection, call.experiment_id, Lifecycle.ACTIVE)


def _set_lifecycle(
    store: Store, connection: Connection, experiment_id: str, lifecycle: Lifecycle
) -> Experiment:
    row = find(connection, experiment_id)
    now_ms = store.clock()
    connection.execute(
        update(_experiment)
        .where(_experiment.c.id == row.id)
        .values(lifecycle=lifecycle, updated_ms=now_ms)
    )
    set_lifecycle_of_experiment(connection, row.id, lifecycle, now_ms)
    return _record(connection, find(connection, experiment_id))


def _record(connection: Connection, row: Row[tuple[object, ...]]) -> Experiment:
    tags = connection.execute(
        select(schema.experiment_tag.c.key, schema.experiment_tag.c.value).where(
            schema.experiment_tag.c.experiment_id == row.id
        )
    )
    return Experiment(
        experiment_id=str(row.id),
        name=row.name,
        lifecycle=Lifecycle(row.lifecycle),
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        tags=dict(tags.all()),
    )
