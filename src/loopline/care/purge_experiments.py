"""Removing deleted experiments for good, so that their names may be taken again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select

from loopline.records.base import Lifecycle, Record
from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.audit import add_audit_row
from loopline.store.operations import STORE
from loopline.store.users import forget_grants_on

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["PurgeableExperiments", "find_purgeable_experiments", "purge_experiments"]

#: What MLflow's clients take when nobody names an experiment; they know it by this id.
_DEFAULT = 0


class PurgeableExperiments(Record, frozen=True, kw_only=True):
    """Deleted experiments, and what becomes of them.

    Attributes:
        ids: Of those deleted for long enough, all of whose runs go, too.
        recent: How many were deleted, or changed since, too recently.
        in_use: How many stay because one of their runs does.
        logged_models: Ids of the logged models that go with them, deleted or not.
    """

    ids: list[int]
    recent: int = 0
    in_use: int = 0
    logged_models: list[str]


def find_purgeable_experiments(
    connection: Connection, latest_ms: int, doomed_runs: Collection[str]
) -> PurgeableExperiments:
    """Find the experiments deleted by then that would have no run when the doomed ones are gone."""
    experiment, run, model = schema.experiment, schema.run, schema.logged_model
    rows = connection.execute(
        select(experiment.c.id, experiment.c.updated_ms).where(
            experiment.c.lifecycle == Lifecycle.DELETED, experiment.c.id != _DEFAULT
        )
    ).all()
    old = [number for number, changed_ms in rows if changed_ms <= latest_ms]
    counted = connection.execute(
        select(run.c.experiment_id, func.count())
        .where(run.c.experiment_id.in_(old))
        .group_by(run.c.experiment_id)
    )
    left: Counter[int] = Counter(dict(counted.all()))
    gone = set(doomed_runs)
    deleted = connection.execute(
        select(run.c.experiment_id, run.c.run_id).where(
            run.c.experiment_id.in_(old), run.c.lifecycle == Lifecycle.DELETED
        )
    )
    left.subtract(number for number, run_id in deleted if run_id in gone)
    ids = [number for number in old if not left[number]]
    models = connection.execute(
        select(model.c.model_id).where(model.c.experiment_id.in_(ids))
    ).scalars()
    return PurgeableExperiments(
        ids=ids, recent=len(rows) - len(old), in_use=len(old) - len(ids), logged_models=list(models)
    )


def purge_experiments(store: Store, ids: Collection[int]) -> int:
    """Remove experiments that are still deleted and have neither runs nor logged models left.

    Returns:
        How many were removed.
    """
    experiment, tag = schema.experiment, schema.experiment_tag
    has_run = exists().where(schema.run.c.experiment_id == experiment.c.id)
    has_model = exists().where(schema.logged_model.c.experiment_id == experiment.c.id)
    removed = 0
    for number in sorted(ids):
        with store.write() as connection:
            # Locked first, so that nothing begins in it between the look and the deletion.
            locked = select(experiment.c.id).where(experiment.c.id == number).with_for_update()
            connection.execute(locked)
            found = connection.execute(
                select(experiment.c.name).where(
                    experiment.c.id == number,
                    experiment.c.lifecycle == Lifecycle.DELETED,
                    ~has_run,
                    ~has_model,
                )
            ).first()
            if found is None:
                continue
            connection.execute(delete(tag).where(tag.c.experiment_id == number))
            forget_grants_on(connection, Thing.EXPERIMENT, str(number))
            connection.execute(delete(experiment).where(experiment.c.id == number))
            was = {"experiment_id": str(number), "name": found.name, "lifecycle": "deleted"}
            add_audit_row(
                store, connection, STORE, "purge-experiment", f"experiment/{number}",
                before=was, after=None,
            )  # fmt: skip
            removed += 1
    return removed
