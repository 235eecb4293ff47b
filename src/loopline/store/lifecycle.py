"""Soft deletion: a run's lifecycle is repeated in its facts, for search, and set in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, literal, select, update

from loopline.errors import InvalidInputError
from loopline.records.base import Lifecycle
from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

__all__ = ["parse_lifecycle", "set_lifecycle_of_experiment", "set_lifecycle_of_run"]

_FACTS = (schema.param, schema.tag, schema.metric)
#: What a run's history says of it.
_REASONS = {Lifecycle.DELETED: "deleted", Lifecycle.ACTIVE: "restored"}


def parse_lifecycle(text: str) -> Lifecycle | None:
    """Read which lifecycle a search looks at; None is all.

    Raises:
        InvalidInputError: It is no such word.
    """
    if text == "all":
        return None
    try:
        return Lifecycle(text)
    except ValueError:
        msg = f"lifecycle is 'active', 'deleted' or 'all', not {text[:80]!r}."
        raise InvalidInputError(msg) from None


def set_lifecycle_of_run(
    connection: Connection, run_pk: int, lifecycle: Lifecycle, now_ms: int
) -> None:
    """Delete or restore one run."""
    _set(connection, schema.run.c.pk == run_pk, lifecycle, now_ms)


def set_lifecycle_of_experiment(
    connection: Connection, experiment_id: int, lifecycle: Lifecycle, now_ms: int
) -> None:
    """Delete or restore every run of an experiment."""
    _set(connection, schema.run.c.experiment_id == experiment_id, lifecycle, now_ms)


def _set(
    connection: Connection, which: ColumnElement[bool], lifecycle: Lifecycle, now_ms: int
) -> None:
    runs = select(schema.run.c.pk).where(which)
    event, changed = schema.run_event, which & (schema.run.c.lifecycle != lifecycle)
    noted = select(
        schema.run.c.pk, literal(now_ms), schema.run.c.status, literal(_REASONS[lifecycle])
    ).where(changed)
    connection.execute(
        insert(event).from_select(
            [event.c.run_pk, event.c.at_ms, event.c.status, event.c.reason], noted
        )
    )
    for table in _FACTS:
        connection.execute(
            update(table).where(table.c.run_pk.in_(runs)).values(lifecycle=lifecycle)
        )
    connection.execute(update(schema.run).where(which).values(lifecycle=lifecycle))
