"""Soft deletion: a run's lifecycle is repeated in its facts, for search, and set in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.records.base import Lifecycle

__all__ = ["set_lifecycle_of_experiment", "set_lifecycle_of_run"]

_FACTS = (schema.param, schema.tag, schema.metric)


def set_lifecycle_of_run(connection: Connection, run_pk: int, lifecycle: Lifecycle) -> None:
    """Delete or restore one run."""
    _set(connection, schema.run.c.pk == run_pk, lifecycle)


def set_lifecycle_of_experiment(
    connection: Connection, experiment_id: int, lifecycle: Lifecycle
) -> None:
    """Delete or restore every run of an experiment."""
    _set(connection, schema.run.c.experiment_id == experiment_id, lifecycle)


def _set(connection: Connection, which: ColumnElement[bool], lifecycle: Lifecycle) -> None:
    runs = select(schema.run.c.pk).where(which)
    for table in _FACTS:
        connection.execute(
            update(table).where(table.c.run_pk.in_(runs)).values(lifecycle=lifecycle)
        )
    connection.execute(update(schema.run).where(which).values(lifecycle=lifecycle))
