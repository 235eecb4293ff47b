"""Removing what was deleted for good: no restore undoes it.

Runs and logged models are here; the experiments that held them are in ``purge_experiments``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select

from loopline.care.purge_experiments import PurgeableExperiments, find_purgeable_experiments
from loopline.records.base import Lifecycle, Record
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["DELETED", "Purgeable", "find_purgeable", "purge_logged_models", "purge_runs"]

#: The reason of the event that says when a run was deleted.
DELETED = "deleted"
_DAY_MS = 24 * 3600 * 1000
#: Runs removed in one transaction, so that others wait for moments only.
_AT_ONCE = 100
#: Tables that hold something of a run by its number, read off the schema so that one that is
#: added later is not forgotten.
_FACTS = [table for table in reversed(schema.metadata.sorted_tables) if "run_pk" in table.c]
#: So of a logged model.
_OF_MODELS = [table for table in schema.metadata.sorted_tables if "model_pk" in table.c]


class Purgeable(Record, frozen=True, kw_only=True):
    """Deleted runs, logged models and experiments, and what becomes of them.

    Attributes:
        runs: Ids of those deleted for long enough.
        recent: How many were deleted too recently, or nobody knows when.
        of_models: How many stay because a registered model version was made from them.
        logged_models: Ids of those deleted for long enough, or with their experiment. A version
            that was made from one has its files, so it is none the worse.
        recent_models: How many were deleted too recently.
        experiments: Those that go when their runs are gone.
    """

    runs: list[str]
    recent: int = 0
    of_models: int = 0
    logged_models: list[str]
    recent_models: int = 0
    experiments: PurgeableExperiments


def find_purgeable(connection: Connection, now_ms: int, deleted_for_days: float) -> Purgeable:
    """Find the runs, logged models and experiments that have been deleted for so many days."""
    event, run = schema.run_event, schema.run
    deleted_ms = (
        select(func.max(event.c.at_ms))
        .where(event.c.run_pk == run.c.pk, event.c.reason == DELETED)
        .scalar_subquery()
    )
    has_model = exists().where(schema.model_version.c.run_id == run.c.run_id)
    rows = connection.execute(
        select(run.c.run_id, deleted_ms, has_model).where(run.c.lifecycle == Lifecycle.DELETED)
    ).all()
    latest = now_ms - round(deleted_for_days * _DAY_MS)
    old = [(run_id, of_model) for run_id, at_ms, of_model in rows if at_ms and at_ms <= latest]
    runs = [run_id for run_id, of_model in old if not of_model]
    model = schema.logged_model
    # Nothing changes a deleted model, so its last change is its deletion.
    models = connection.execute(
        select(model.c.model_id, model.c.updated_ms).where(model.c.lifecycle == Lifecycle.DELETED)
    ).all()
    experiments = find_purgeable_experiments(connection, latest, runs)
    old_models = {model_id for model_id, at_ms in models if at_ms <= latest}
    recent_models = len(models) - len(old_models)
    old_models.update(experiments.logged_models)
    return Purgeable(
        runs=runs,
        recent=len(rows) - len(old),
        of_models=len(old) - len(runs),
        logged_models=sorted(old_models),
        recent_models=recent_models,
        experiments=experiments,
    )


def purge_runs(store: Store, run_ids: Collection[str]) -> tuple[int, set[str]]:
    """Remove runs with all their facts, unless they were restored meanwhile.

    Returns:
        How many were removed, and the blobs that they named.
    """
    ordered = sorted(run_ids)
    removed = 0
    named: set[str] = set()
    for at in range(0, len(ordered), _AT_ONCE):
        with store.write() as connection:
            pks = _still_deleted(connection, ordered[at : at + _AT_ONCE])
            artifact = schema.artifact
            named.update(
                connection.execute(
                    select(artifact.c.sha256).where(artifact.c.run_pk.in_(pks.values()))
                ).scalars()
            )
            for table in _FACTS:
                connection.execute(delete(table).where(table.c.run_pk.in_(pks.values())))
            connection.execute(delete(schema.refused).where(schema.refused.c.run_id.in_(pks)))
            connection.execute(delete(schema.run).where(schema.run.c.pk.in_(pks.values())))
            removed += len(pks)
    return removed, named


def _still_deleted(connection: Connection, run_ids: list[str]) -> dict[str, int]:
    run = schema.run
    has_model = exists().where(schema.model_version.c.run_id == run.c.run_id)
    rows = connection.execute(
        select(run.c.run_id, run.c.pk).where(
            run.c.run_id.in_(run_ids), run.c.lifecycle == Lifecycle.DELETED, ~has_model
        )
    )
    return {row.run_id: row.pk for row in rows}


def purge_logged_models(store: Store, model_ids: Collection[str]) -> tuple[int, set[str]]:
    """Remove logged models with all that was measured on them, unless they are back meanwhile.

    One that was not deleted goes if its experiment is.

    Returns:
        How many were removed, and the blobs that they named.
    """
    ordered = sorted(model_ids)
    removed = 0
    named: set[str] = set()
    model, file = schema.logged_model, schema.logged_model_file
    of_deleted = select(schema.experiment.c.id).where(
        schema.experiment.c.lifecycle == Lifecycle.DELETED
    )
    is_deleted = (model.c.lifecycle == Lifecycle.DELETED) | model.c.experiment_id.in_(of_deleted)
    for at in range(0, len(ordered), _AT_ONCE):
        with store.write() as connection:
            rows = connection.execute(
                select(model.c.model_id, model.c.pk).where(
                    model.c.model_id.in_(ordered[at : at + _AT_ONCE]), is_deleted
                )
            )
            pks = {row.model_id: row.pk for row in rows}
            named.update(
                connection.execute(
                    select(file.c.sha256).where(file.c.model_pk.in_(pks.values()))
                ).scalars()
            )
            for table in _OF_MODELS:
                connection.execute(delete(table).where(table.c.model_pk.in_(pks.values())))
            used = schema.run_model
            connection.execute(delete(used).where(used.c.model_id.in_(pks)))
            connection.execute(delete(model).where(model.c.pk.in_(pks.values())))
            removed += len(pks)
    return removed, named
