"""The inbox: points of requests, safe on disk, that wait to be put where they belong.

A point of a metric can be refused only for what is known before (its key, its run), adds nothing
when it comes twice, and may come in any order. So the points of a group of requests are written as
one row, which is all that an acknowledgement waits for. *Settling* puts what waits into the blocks,
summaries and documents, a run and a metric once however many requests there were.

Nobody sees the difference: ``Store.read`` and ``Store.write`` settle first. SQLite only: a row of
PostgreSQL costs a journey to its server, and saves none.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from loopline.errors import InvalidInputError, LooplineError, NotFoundError
from loopline.records import facts as f
from loopline.records.base import Lifecycle
from loopline.rules.names import check_id, check_key
from loopline.store.find import deleted_run, no_run
from loopline.store.ingest import record_together, take_acknowledged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["Inbox", "settle"]

#: A run by its id. Unique index look-up.
LIFECYCLE = "SELECT lifecycle FROM ll_run WHERE run_id = ?"
#: Changes when another connection has committed, of this process or of another.
VERSION = "PRAGMA data_version"
PUT = "INSERT INTO ll_inbox (data) VALUES (?)"
WAITING = "SELECT id, data FROM ll_inbox ORDER BY id"
TAKE_OUT = "DELETE FROM ll_inbox WHERE id <= ?"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[f.MetricPoints])


class Inbox:
    """Takes requests' facts for a store; for one thread.

    Attributes:
        size_bytes: How much it has taken since it was last set to 0.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = -1
        #: Runs known to be there and not deleted, while the database has this version.
        self._open: set[str] = set()
        self.size_bytes = 0

    def record(self, calls: Sequence[ops.RecordFacts]) -> list[LooplineError | None]:
        """Take the facts of requests, each for itself; on return they are durable.

        Returns:
            For each request why nothing of it was taken, or None.
        """
        answers: list[LooplineError | None] = [None] * len(calls)
        light, heavy = self._sorted(calls)
        for which, take in ((light, self._take), (heavy, self._record)):
            if not which:
                continue
            given = [calls[index] for index in which]
            try:
                found = take(given)
            except LooplineError as error:  # The database is locked, full or away.
                found = [error] * len(which)
            for index, answer in zip(which, found, strict=True):
                answers[index] = answer
        return answers

    def _sorted(self, calls: Sequence[ops.RecordFacts]) -> tuple[list[int], list[int]]:
        """Tell which requests can wait in the inbox, and which cannot."""
        light: list[int] = []
        heavy: list[int] = []
        for index, call in enumerate(calls):
            can_wait = (
                self._store.is_sqlite
                and bool(call.facts)
                and all(type(fact) is f.MetricPoints for fact in call.facts)
            )
            (light if can_wait else heavy).append(index)
        return light, heavy

    def _record(self, calls: Sequence[ops.RecordFacts]) -> list[LooplineError | None]:
        return record_together(self._store, calls)

    def _take(self, calls: Sequence[ops.RecordFacts]) -> list[LooplineError | None]:
        """Take points; a run that is not found may have been handed in just now."""
        answers = self._put(calls)
        lost = [index for index, answer in enumerate(answers) if isinstance(answer, NotFoundError)]
        if lost and self._store.has_taken_in():
            for index, answer in zip(lost, self._put([calls[i] for i in lost]), strict=True):
                answers[index] = answer
        return answers

    def _put(self, calls: Sequence[ops.RecordFacts]) -> list[LooplineError | None]:
        """Put points into one row for all.

        Its insertion is the transaction. A run that is deleted between the look at it and that was
        there when the points came: they are kept, as if they had come just before.
        """
        answers: list[LooplineError | None] = []
        with self._store.plain() as connection:
            version = connection.execute(VERSION).fetchone()[0]
            if version != self._version:
                self._open.clear()
                self._version = version
            taken: list[f.Fact] = []
            for call in calls:
                try:
                    for fact in call.facts:
                        self._check(connection, fact)
                except LooplineError as error:
                    answers.append(error)
                else:
                    answers.append(None)
                    taken += call.facts
            if taken:
                data = _encoder.encode(taken)
                connection.execute(PUT, (data,))
                self.size_bytes += len(data)
        return answers

    def _check(self, connection: sqlite3.Connection, fact: f.Fact) -> None:
        """Find whatever can be wrong with points, so that they are never refused afterwards."""
        assert isinstance(fact, f.MetricPoints)  # noqa: S101 - sorted above
        check_key("metric", fact.key)
        if len(fact.steps) % 8 or not (
            len(fact.steps) == len(fact.timestamps_ms) == len(fact.values)
        ):
            raise InvalidInputError("The columns of a metric differ in length. Send equal ones.")
        run_id = fact.run_id
        if run_id in self._open:
            return
        row = connection.execute(LIFECYCLE, (run_id,)).fetchone()
        if row is None:
            check_id("run id", run_id)
            raise no_run(run_id)
        if row[0] == Lifecycle.DELETED:
            raise deleted_run(run_id)
        self._open.add(run_id)


def settle(connection: Connection, now_ms: int) -> None:
    """Put what waits where it belongs, inside a write transaction of SQLite's."""
    plain = connection.connection.driver_connection
    assert isinstance(plain, sqlite3.Connection)  # noqa: S101 - see the module
    columns: dict[tuple[str, str], tuple[list[bytes], list[bytes], list[bytes]]] = {}
    last = 0
    for number, data in plain.execute(WAITING):
        last = number
        for fact in _decoder.decode(data):
            of = (fact.run_id, fact.key)
            found = columns.get(of)
            if found is None:
                found = columns[of] = ([], [], [])
            found[0].append(fact.steps)
            found[1].append(fact.timestamps_ms)
            found[2].append(fact.values)
    facts: list[f.Fact] = [
        f.MetricPoints(
            run_id=run_id,
            key=key,
            steps=b"".join(steps),
            timestamps_ms=b"".join(times),
            values=b"".join(values),
        )
        for (run_id, key), (steps, times, values) in columns.items()
    ]
    take_acknowledged(connection, facts, now_ms)
    plain.execute(TAKE_OUT, (last,))
