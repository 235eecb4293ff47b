"""Finding one run, with the error a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

__all__ = ["deleted_run", "no_run", "run_or_none", "run_pk_or_none", "run_row"]

#: A run by its id. Unique index look-up.
RUN = select(schema.run).where(schema.run.c.run_id == bindparam("run_id"))


def run_or_none(connection: Connection, run_id: str) -> Row[Any] | None:
    """Get a run's row, or None."""
    return connection.execute(RUN, {"run_id": run_id}).first()


def run_pk_or_none(connection: Connection, run_id: str) -> int | None:
    """Get a run's number, or None."""
    row = run_or_none(connection, run_id)
    return None if row is None else row.pk


def run_row(connection: Connection, run_id: str) -> Row[Any]:
    """Get a run's row.

    Raises:
        NotFoundError: No run has this id.
    """
    row = run_or_none(connection, run_id)
    if row is None:
        raise no_run(run_id)
    return row


def no_run(run_id: str) -> NotFoundError:
    """Make the error for a run that is not there."""
    return NotFoundError(
        f"Run '{run_id}' not found. List the runs with `loopline runs list`, "
        "or point LOOPLINE_URI at another store."
    )


def deleted_run(run_id: str) -> InvalidInputError:
    """Make the error for a run that takes nothing more."""
    return InvalidInputError(
        f"The run {run_id} must be in the 'active' state. Current state is deleted. "
        f"Restore it with `loopline runs restore {run_id}`."
    )
