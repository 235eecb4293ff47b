"""Experiments and runs moved in from elsewhere: set as they were there, not as of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, text, update

from loopline.errors import InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.logged_models import ModelRole, RunModel
from loopline.records.operations import GetExperiment
from loopline.records.tracking import Artifact, Dataset, RunEvent, RunInput, RunStatus
from loopline.records.transfer import RunDescription
from loopline.rules.names import check_experiment_name
from loopline.store import schema
from loopline.store.documents import RUNS, records_of
from loopline.store.experiments import get_experiment
from loopline.store.inserted import inserted_id
from loopline.store.lifecycle import set_lifecycle_of_run
from loopline.store.upgrade import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.records.tracking import Experiment
    from loopline.records.transfer import RunSettlement
    from loopline.store.database import Store

__all__ = ["describe_runs", "import_experiment", "settle_runs"]

_experiment = schema.experiment
_run = schema.run

#: Digits of an experiment's id past which it is no number people use, but one that MLflow drew
#: by lot; keeping it would make every later id as long.
MOST_KEPT_DIGITS = 9
#: Runs described with one call.
MOST_RUNS = 1_000

#: Runs by their ids, with their documents. Unique index look-ups, one a run.
THESE = RUNS.where(_run.c.run_id.in_(bindparam("run_ids", expanding=True)))
#: Files of some runs. Primary key ranges, one a run.
ARTIFACTS = (
    select(schema.artifact)
    .where(schema.artifact.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(schema.artifact.c.run_pk, schema.artifact.c.path)
)
#: Data versions that some runs read.
INPUTS = (
    select(schema.run_input, schema.dataset.c.document)
    .join(schema.dataset, schema.run_input.c.dataset_id == schema.dataset.c.id)
    .where(schema.run_input.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(schema.run_input.c.run_pk, schema.dataset.c.id, schema.run_input.c.context)
)
#: Logged models that some runs read or made.
MODELS = (
    select(schema.run_model)
    .where(schema.run_model.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(
        schema.run_model.c.run_pk,
        schema.run_model.c.role,
        schema.run_model.c.step,
        schema.run_model.c.model_id,
    )
)
#: Changes of status of some runs, oldest first.
EVENTS = (
    select(schema.run_event)
    .where(schema.run_event.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(schema.run_event.c.id)
)
#: Who answers for some runs being alive.
WRITERS = (
    select(schema.writer_run)
    .where(schema.writer_run.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(schema.writer_run.c.writer)
)

_SETTLING = ("status", "start_ms", "end_ms", "duration_ms", "end_reason", "ended_by")
#: Sets how a run stands.
SETTLE = (
    update(_run)
    .where(_run.c.pk == bindparam("at"))
    .values({name: bindparam(f"new_{name}") for name in _SETTLING})
)


def describe_runs(
    _store: Store, connection: Connection, call: ops.DescribeRuns
) -> list[RunDescription]:
    """Get everything but metric points of those of some runs that exist: six look-ups in all."""
    if len(call.run_ids) > MOST_RUNS:
        msg = f"{len(call.run_ids):,} runs were asked for; ask for {MOST_RUNS:,} at a time."
        raise InvalidInputError(msg)
    rows = connection.execute(THESE, {"run_ids": call.run_ids}).all()
    pks = {"pks": [row.pk for row in rows]}
    artifacts: dict[int, list[Artifact]] = {}
    for row in connection.execute(ARTIFACTS, pks):
        file = Artifact(path=row.path, sha256=row.sha256, size_bytes=row.size_bytes)
        artifacts.setdefault(row.run_pk, []).append(file)
    inputs: dict[int, list[RunInput]] = {}
    for row in connection.execute(INPUTS, pks):
        dataset = msgspec.json.decode(row.document, type=Dataset)
        item = RunInput(dataset=dataset, context=row.context, tags=msgspec.json.decode(row.tags))
        inputs.setdefault(row.run_pk, []).append(item)
    models: dict[int, list[RunModel]] = {}
    for row in connection.execute(MODELS, pks):
        model = RunModel(model_id=row.model_id, role=ModelRole(row.role), step=row.step)
        models.setdefault(row.run_pk, []).append(model)
    events: dict[int, list[RunEvent]] = {}
    for row in connection.execute(EVENTS, pks):
        status = RunStatus(row.status)
        event = RunEvent(at_ms=row.at_ms, status=status, reason=row.reason, actor=row.actor)
        events.setdefault(row.run_pk, []).append(event)
    writers: dict[int, list[str]] = {}
    for row in connection.execute(WRITERS, pks):
        writers.setdefault(row.run_pk, []).append(row.writer)
    return [
        RunDescription(
            run=run,
            artifacts=artifacts.get(row.pk, []),
            inputs=inputs.get(row.pk, []),
            models=models.get(row.pk, []),
            events=events.get(row.pk, []),
            writers=writers.get(row.pk, []),
        )
        for row, run in zip(rows, records_of(connection, rows), strict=True)
    ]


def import_experiment(
    store: Store, connection: Connection, call: ops.ImportExperiment
) -> Experiment:
    """Make an experiment as it was elsewhere, or add what is new to the one of its name."""
    given = call.experiment
    check_experiment_name(given.name)
    row = connection.execute(select(_experiment).where(_experiment.c.name == given.name)).first()
    if row is None:
        number = _insert_experiment(connection, given)
    else:
        number = int(row.id)
        _renew_experiment(connection, row, given, everything=call.update)
    _add_experiment_tags(connection, number, given.tags, replace=call.update)
    return get_experiment(store, connection, GetExperiment(experiment_id=str(number)))


def _insert_experiment(connection: Connection, given: Experiment) -> int:
    columns: dict[str, Any] = {
        "name": given.name,
        "lifecycle": given.lifecycle,
        "created_ms": given.created_ms,
        "updated_ms": given.updated_ms,
    }
    text_id = given.experiment_id
    if text_id.isdecimal() and len(text_id) <= MOST_KEPT_DIGITS:
        wanted = int(text_id)
        taken = select(_experiment.c.id).where(_experiment.c.id == wanted)
        if connection.execute(taken).first() is None:
            connection.execute(insert(_experiment).values(id=wanted, **columns))
            if connection.dialect.name == "postgresql":
                # A number given by hand does not move the sequence that gives the next one.
                connection.execute(
                    text(
                        "SELECT setval(pg_get_serial_sequence('ll_experiment', 'id'), "
                        "(SELECT GREATEST(MAX(id), 1) FROM ll_experiment))"
                    )
                )
            return wanted
    return inserted_id(connection.execute(insert(_experiment).values(**columns)))


def _renew_experiment(
    connection: Connection, row: Row[Any], given: Experiment, *, everything: bool
) -> None:
    """Bring what an experiment says of itself up to date.

    One that was made at the same millisecond is the very one, imported before: the runs that
    came since have changed its time, which is set right here. Each store is made with a Default
    of its own: that of an older store counts, and any rather than one that nobody has used yet.
    A deletion is always followed.
    """
    columns: dict[str, Any] = {}
    is_unused = row.created_ms == row.updated_ms
    is_of_its_store = row.id == DEFAULT_EXPERIMENT["id"]
    if (
        everything
        or row.created_ms == given.created_ms
        or (is_of_its_store and (is_unused or given.created_ms < row.created_ms))
    ):
        columns |= {"created_ms": given.created_ms, "updated_ms": given.updated_ms}
    if everything or given.lifecycle == Lifecycle.DELETED:
        columns["lifecycle"] = given.lifecycle
    if columns:
        connection.execute(update(_experiment).where(_experiment.c.id == row.id).values(**columns))


def _add_experiment_tags(
    connection: Connection, number: int, tags: dict[str, str], *, replace: bool
) -> None:
    table = schema.experiment_tag
    rows = connection.execute(select(table).where(table.c.experiment_id == number))
    known = {row.key: row.value for row in rows}
    for key, value in tags.items():
        if key not in known:
            connection.execute(insert(table).values(experiment_id=number, key=key, value=value))
        elif replace and known[key] != value:
            connection.execute(
                update(table)
                .where(table.c.experiment_id == number, table.c.key == key)
                .values(value=value)
            )


def settle_runs(store: Store, connection: Connection, call: ops.SettleRuns) -> int:
    """Set how imported runs ended, and who no longer answers for them."""
    ids = [settlement.run_id for settlement in call.runs]
    known = {row.run_id: row for row in connection.execute(THESE, {"run_ids": ids})}
    settled = [
        (settlement, known[settlement.run_id])
        for settlement in call.runs
        if settlement.run_id in known
    ]
    if not settled:
        return 0
    connection.execute(SETTLE, [_settled(settlement, row) for settlement, row in settled])
    for settlement, row in settled:
        if settlement.lifecycle != row.lifecycle:
            set_lifecycle_of_run(connection, row.pk, settlement.lifecycle, store.clock())
    _set_events(connection, [(row.pk, s.events) for s, row in settled if s.events])
    table = schema.writer_run
    pks = [row.pk for _, row in settled]
    connection.execute(delete(table).where(table.c.run_pk.in_(pks), table.c.writer == call.writer))
    return len(settled)


def _settled(settlement: RunSettlement, row: Row[Any]) -> dict[str, Any]:
    return {
        "at": row.pk,
        "new_status": settlement.status,
        "new_start_ms": row.start_ms if settlement.start_ms is None else settlement.start_ms,
        "new_end_ms": settlement.end_ms,
        "new_duration_ms": settlement.duration_ms,
        "new_end_reason": settlement.end_reason,
        # Nobody here may call it lost, nor speak against its own end.
        "new_ended_by": "owner" if settlement.status.is_terminal else "",
    }


def _set_events(connection: Connection, histories: list[tuple[int, list[RunEvent]]]) -> None:
    if not histories:
        return
    table = schema.run_event
    connection.execute(delete(table).where(table.c.run_pk.in_([pk for pk, _ in histories])))
    connection.execute(
        insert(table),
        [
            {
                "run_pk": run_pk,
                "at_ms": event.at_ms,
                "status": event.status,
                "reason": event.reason,
                "actor": event.actor,
            }
            for run_pk, events in histories
            for event in events
        ],
    )
