"""Ingestion: a writer's facts and its new position, in one transaction, exactly once.

Each fact is accepted or *refused for good*: a refused one is kept with the reason beside the
run it belongs to, and blocks nothing that follows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.store import schema
from loopline.store.automation_events import carry_out_automations
from loopline.store.callers import act_for
from loopline.store.flow_facts import FlowFacts
from loopline.store.logged_model_facts import LoggedModelFacts
from loopline.store.run_facts import RunFacts
from loopline.store.runs import revive_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from loopline.errors import LooplineError
    from loopline.records import operations as ops
    from loopline.records.identity import Caller
    from loopline.store.database import Store

__all__ = [
    "UNFIT",
    "ingest",
    "keep_refused",
    "record_facts",
    "record_together",
    "take_acknowledged",
    "take_batch",
]

_writer = schema.writer
#: Facts that automations hear of.
_STATES = (f.FlowRunState, f.TaskRunState)
#: Of so many refused facts of a batch the writer is told why.
REASONS = 3
#: What the database's driver says of a value that it cannot hold.
UNFIT = (IntegrityError, DataError, InterfaceError, ValueError, OverflowError)


def ingest(store: Store, batch: f.Batch, *, caller: Caller | None = None) -> f.Receipt:
    """Take a batch in whole, or tell from where to send again.

    Args:
        store: Where.
        batch: What, of whose journal.
        caller: Who sends it to a server, and was let do so.

    Raises:
        ConflictError: The batch begins past what is acknowledged: records are missing between.
    """
    try:
        return _ingest(store, batch, caller, careful=False)
    except (InvalidInputError, ValueError, OverflowError):
        # The database itself would not have some value. Find out which fact it is and refuse
        # that one: a poisoned record must not be sent again and again for ever.
        return _ingest(store, batch, caller, careful=True)


def _ingest(store: Store, batch: f.Batch, caller: Caller | None, *, careful: bool) -> f.Receipt:
    with store.write() as connection:
        act_for(connection, caller)
        return take_batch(store, connection, batch, store.clock(), careful=careful)


def take_batch(
    store: Store,
    connection: Connection,
    batch: f.Batch,
    now_ms: int,
    *,
    careful: bool,
) -> f.Receipt:
    """Take a batch inside a write transaction.

    Args:
        store: Where.
        connection: The transaction.
        batch: What, of whose journal.
        now_ms: When it came.
        careful: What the database itself will not have is refused by itself; else it raises.
    """
    acknowledged = _meet_writer(connection, batch, now_ms)
    if batch.end <= acknowledged or acknowledged > batch.start:
        return f.Receipt(acknowledged=acknowledged)
    if batch.start > acknowledged:
        msg = (
            f"The journal {batch.writer} is acknowledged up to {acknowledged}, but the batch "
            f"begins at {batch.start}. Send again from {acknowledged}."
        )
        raise ConflictError(msg)
    ingestion = _Ingestion(connection, batch, now_ms)
    if not careful:
        ingestion.expect()
    for fact in batch.facts:
        if careful:
            ingestion.take_carefully(fact)
        else:
            ingestion.take(fact)
    ingestion.finish()
    if any(isinstance(fact, _STATES) for fact in batch.facts):
        carry_out_automations(store, connection)
    connection.execute(
        update(_writer).where(_writer.c.writer == batch.writer).values(acknowledged=batch.end)
    )
    return f.Receipt(acknowledged=batch.end, refused=ingestion.refused, reasons=ingestion.reasons)


def _meet_writer(connection: Connection, batch: f.Batch, now_ms: int) -> int:
    """Note the writer as alive; return its acknowledged position."""
    row = connection.execute(select(_writer).where(_writer.c.writer == batch.writer)).first()
    if row is None:
        connection.execute(
            insert(_writer).values(
                writer=batch.writer,
                host=batch.host,
                pid=batch.pid,
                first_seen_ms=now_ms,
                # What somebody else sends of it is no sign of its life.
                last_seen_ms=0 if batch.adopted else now_ms,
            )
        )
        return 0
    if not batch.adopted:
        connection.execute(
            update(_writer)
            .where(_writer.c.writer == batch.writer)
            .values(last_seen_ms=now_ms, is_gone=False)
        )
        if row.is_gone:
            revive_runs(connection, batch.writer, now_ms)
    return int(row.acknowledged)


def record_facts(store: Store, connection: Connection, call: ops.RecordFacts) -> None:
    """Take the facts of one request, all of them or none."""
    _record(connection, [call], store.clock())


def record_together(store: Store, calls: Sequence[ops.RecordFacts]) -> list[LooplineError | None]:
    """Take the facts of many requests, each for itself, with one transaction for all.

    Returns:
        For each request why nothing of it was taken, or None.

    Raises:
        LooplineError: Nothing was taken of any: the database is locked, full or away.
    """
    with suppress(InvalidInputError, ConflictError, NotFoundError, *UNFIT):
        with store.write(settles=False) as connection:
            _record(connection, calls, store.clock())
        return [None] * len(calls)
    # One of them cannot be. Find out which: each gets a part of the transaction to itself.
    answers: list[LooplineError | None] = []
    with store.write(settles=False) as connection:
        for call in calls:
            answer: LooplineError | None = None
            try:
                with connection.begin_nested():
                    _record(connection, [call], store.clock())
            except (InvalidInputError, ConflictError, NotFoundError) as error:
                answer = error
            except UNFIT:
                answer = InvalidInputError("The database cannot hold a value of this request.")
            answers.append(answer)
    return answers


def _record(connection: Connection, calls: Sequence[ops.RecordFacts], now_ms: int) -> None:
    facts = [fact for call in calls for fact in call.facts]
    ingestion = _Ingestion(connection, f.Batch(writer="", start=0, end=0, facts=facts), now_ms)
    ingestion.expect()
    for fact in facts:
        ingestion.dispatch(fact)
    ingestion.finish()


def take_acknowledged(connection: Connection, facts: list[f.Fact], now_ms: int) -> None:
    """Take facts that were acknowledged before; those of a run that is gone are gone with it.

    What the database itself will not have is kept with the refused, and stops nothing.
    """
    batch = f.Batch(writer="", start=0, end=0, facts=facts)
    ingestion = _Ingestion(connection, batch, now_ms, acknowledged=True)
    try:
        with connection.begin_nested():
            ingestion.expect()
            for fact in facts:
                with suppress(NotFoundError):
                    ingestion.dispatch(fact)
            ingestion.finish()
    except (InvalidInputError, ConflictError, *UNFIT):
        ingestion = _Ingestion(connection, batch, now_ms, acknowledged=True)
        for fact in facts:
            ingestion.take_carefully(fact)


class _Ingestion:
    """Takes the facts of one batch; of a batch without a writer only those of known runs."""

    def __init__(
        self, connection: Connection, batch: f.Batch, now_ms: int, *, acknowledged: bool = False
    ) -> None:
        self._connection = connection
        self._acknowledged = acknowledged
        self._batch = batch
        self._now_ms = now_ms
        self._begin()
        self.refused = 0
        self.reasons: list[str] = []

    def _begin(self) -> None:
        batch = self._batch
        self._models = LoggedModelFacts(self._connection)
        self._flows = FlowFacts(self._connection, batch.writer, self._now_ms)
        self._runs = RunFacts(
            self._connection,
            batch.writer,
            self._now_ms,
            adopted=batch.adopted,
            known_only=not batch.writer,
            acknowledged=self._acknowledged,
        )

    def expect(self) -> None:
        """Read together what the facts of the batch are of."""
        found = {getattr(fact, "run_id", ""): None for fact in self._batch.facts}
        self._runs.expect(run_id for run_id in found if run_id)

    def take(self, fact: f.Fact) -> None:
        """Take one fact, or note why it is refused."""
        try:
            self.dispatch(fact)
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            self._refuse(fact, str(error))

    def take_carefully(self, fact: f.Fact) -> None:
        """Store one fact such that the database's own refusal undoes this fact alone."""
        try:
            with self._connection.begin_nested():
                self._runs.expect([getattr(fact, "run_id", "")])
                self.dispatch(fact)
                self.finish()
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            self._begin()
            self._refuse(fact, str(error))
        except UNFIT as error:
            self._begin()
            self._refuse(fact, f"The database cannot hold it ({type(error).__name__}).")

    def finish(self) -> None:
        """Write what was gathered."""
        self._runs.write()
        self._models.write()
        self._flows.write()

    def dispatch(self, fact: f.Fact) -> None:  # noqa: C901, PLR0912 - a case a fact
        """Take one fact.

        Raises:
            InvalidInputError: It cannot be; nothing of it was kept.
        """
        match fact:
            case f.TaskRunState():  # The most frequent ones come first.
                self._flows.set_task_run_state(fact)
            case f.MetricPoints():
                self._runs.add_points(fact)
            case f.ParamsLogged():
                self._runs.add_params(fact)
            case f.TagsSet():
                self._runs.set_tags(fact)
            case f.TagRemoved():
                self._runs.remove_tag(fact)
            case f.RunStarted():
                self._runs.start(fact)
            case f.RunEnded():
                self._runs.end(fact)
            case f.ArtifactLogged():
                self._runs.add_artifact(fact)
            case f.InputLogged():
                self._runs.add_input(fact)
            case f.LoggedModelUsed():
                self._runs.add_model(fact)
            case f.LoggedModelMeasured():
                self._models.add_points(fact)
            case f.LoggedModelFile():
                self._models.add_file(fact)
            case f.FlowRunState():
                self._flows.set_flow_run_state(fact)
            case f.FlowArtifactSet():
                self._flows.set_artifact(fact)
            case f.LogsWritten():
                self._flows.add_logs(fact)
            case f.Unreadable():
                raise InvalidInputError(fact.reason)

    def _refuse(self, fact: f.Fact, reason: str) -> None:
        self.refused += 1
        if len(self.reasons) < REASONS:
            self.reasons.append(reason)
        keep_refused(self._connection, fact, reason, writer=self._batch.writer, at_ms=self._now_ms)


def keep_refused(
    connection: Connection, fact: f.Fact, reason: str, *, writer: str, at_ms: int
) -> None:
    """Keep a fact that is never taken, with the reason, beside the run that it is of."""
    connection.execute(
        insert(schema.refused).values(
            run_id=getattr(fact, "run_id", None) or getattr(fact, "flow_run_id", ""),
            writer=writer,
            at_ms=at_ms,
            fact=msgspec.json.encode(fact).decode(),
            reason=reason,
        )
    )
