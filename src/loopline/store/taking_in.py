"""Taking in what was handed in: the same ingestion, later; see ``hand_in`` for why.

It happens in the write transaction of whoever looks first, under the time at which it was handed
in. What cannot be taken goes to the dead letters and blocks nobody.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from loopline.records import facts as f
from loopline.store import schema
from loopline.store.hand_in import HandedIn
from loopline.store.ingest import UNFIT, keep_refused, take_batch
from loopline.store.runs import close_runs_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["take_in"]

log = logging.getLogger("loopline.store")

_table = schema.handed_in
_decoder = msgspec.msgpack.Decoder(HandedIn)


def take_in(store: Store, connection: Connection) -> None:
    """Take in all that waits, oldest first, inside a write transaction of SQLite's."""
    rows = connection.execute(select(_table).order_by(_table.c.id)).all()
    for row in rows:
        try:
            handed_in = _decoder.decode(row.data)
        except msgspec.MsgspecError as error:
            fact = f.Unreadable(data=row.data, reason=f"It cannot be read: {error}.")
            keep_refused(connection, fact, fact.reason, writer=row.writer, at_ms=row.at_ms)
            continue
        _take(store, connection, handed_in.batch, row.at_ms)
        if handed_in.gone:
            close_runs_of(connection, handed_in.batch.writer, handed_in.gone, row.at_ms)
    if rows:
        connection.execute(delete(_table).where(_table.c.id <= rows[-1].id))


def _take(store: Store, connection: Connection, batch: f.Batch, at_ms: int) -> None:
    """Take a batch: whole, or else fact by fact, or else keep all of it as refused."""
    problem: Exception | None = None
    for careful in (False, True):
        try:
            with connection.begin_nested():
                take_batch(store, connection, batch, at_ms, careful=careful)
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, UNFIT):
                raise  # The database is full, or whatever else it is: it can be taken in later.
            problem = error
        else:
            return
    # Nobody's look into the store may fail for what somebody else has handed in.
    log.error("What %s handed in cannot be taken in", batch.writer, exc_info=problem)
    reason = f"It cannot be taken in ({type(problem).__name__}: {problem})."
    for fact in batch.facts:
        keep_refused(connection, fact, reason, writer=batch.writer, at_ms=at_ms)
