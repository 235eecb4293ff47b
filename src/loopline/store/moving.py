"""Moving and copying runs between experiments, with everything that belongs to them.

Which tables hold something of a run is read off the schema, so one that is added later is not
forgotten. Rows are copied inside the database; blobs are shared by their hash.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, insert, literal, select, update

from loopline.errors import AlreadyExistsError, ConflictError, InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunStatus
from loopline.rules.names import check_id, check_key, check_tag_value, check_text
from loopline.store import experiments, schema
from loopline.store.documents import RUNS, decode, encode, records_of
from loopline.store.find import run_or_none, run_row
from loopline.store.inserted import inserted_id
from loopline.store.long_texts import split
from loopline.store.runs import add_event
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.records.tracking import Run
    from loopline.store.database import Store

__all__ = ["COPIED_FROM", "copy_run", "descendants", "move_runs", "run_tables"]

#: Tag of a copy: id of the run it was made of.
COPIED_FROM = "loopline.copied_from"
PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"
#: Columns that say where a run belongs, repeated in its facts.
PLACE = "experiment_id"
MAX_CHILDREN = 10_000
#: Values in one statement; SQLite takes at most 32,766.
TOGETHER = 500
MAX_NAME = 8_000

_run = schema.run


def run_tables() -> list[Table]:
    """List the tables that hold something of a run, by its number.

    Not who wrote to it: the writers of a run do not write to its copy.
    """
    return [
        table
        for table in schema.metadata.sorted_tables
        if "run_pk" in table.c and table is not schema.writer_run
    ]


def move_runs(store: Store, connection: Connection, call: ops.MoveRuns) -> list[Run]:
    """Move runs to another experiment; all of them or none.

    Raises:
        NotFoundError: There is no such run or experiment.
        InvalidInputError: A run or the experiment is deleted.
    """
    target = _target(store, connection, call.experiment_id, call.experiment)
    if target is None:
        msg = "Say where to move the runs: give experiment_id, or the name of an experiment."
        raise InvalidInputError(msg)
    rows = {row.pk: row for row in (run_row(connection, run_id) for run_id in call.run_ids)}
    if call.with_children:
        for row in list(rows.values()):
            rows |= {child.pk: child for child in descendants(connection, row.run_id)}
    moved = [row for row in rows.values() if row.experiment_id != target]
    for row in moved:
        _check_active(row)
        _place(connection, row, target)
        reason = f"moved from experiment {row.experiment_id} to {target}"
        add_event(connection, row.pk, store.clock(), RunStatus(row.status), reason, call.actor)
    if moved:
        _touch(store, connection, {target, *(row.experiment_id for row in moved)})
    return _records(connection, call.run_ids)


def copy_run(store: Store, connection: Connection, call: ops.CopyRun) -> Run:
    """Copy a run that has ended; see ``CopyRun``.

    Raises:
        NotFoundError: There is no such run or experiment.
        ConflictError: The run, or a child to copy along, has not ended.
        AlreadyExistsError: There is a run of the new id.
    """
    source = run_row(connection, call.run_id)
    target = _target(store, connection, call.experiment_id, call.experiment)
    new_id = call.new_run_id or uuid.uuid4().hex
    check_id("run id", new_id)
    if run_or_none(connection, new_id) is not None:
        msg = f"There is a run {new_id} already. Leave new_run_id out, or give another."
        raise AlreadyExistsError(msg)
    if call.name:
        check_text("name of the copy", call.name, MAX_NAME)
    rows = [source]
    if call.with_children:
        rows += descendants(connection, source.run_id)
    for row in rows:
        _check_active(row)
        if not RunStatus(row.status).is_terminal:
            msg = (
                f"Run {row.run_id} has not ended: what is logged later would be missing in the "
                "copy. End it first, or move it with move_runs."
            )
            raise ConflictError(msg)
    ids = {row.run_id: uuid.uuid4().hex for row in rows} | {source.run_id: new_id}
    for row in rows:
        tags = {COPIED_FROM: row.run_id}
        parent = ids.get(row.parent_run_id) if row is not source else None
        if row is source and call.name:
            tags[NAME] = call.name
        if parent is not None:
            tags[PARENT] = parent
        place = row.experiment_id if target is None else target
        pk = _copy(connection, row, ids[row.run_id], place, parent)
        _set_tags(connection, pk, place, tags)
        if NAME in tags:
            connection.execute(update(_run).where(_run.c.pk == pk).values(name=tags[NAME]))
        reason = f"copied from run {row.run_id}"
        add_event(connection, pk, store.clock(), RunStatus(row.status), reason, call.actor)
        _touch(store, connection, {place})
    return _records(connection, [new_id])[0]


def _target(
    store: Store, connection: Connection, experiment_id: str, experiment: str
) -> int | None:
    """Find the experiment to go to; None when none was named."""
    if experiment_id and experiment:
        msg = "Give the experiment either by its id or by its name, not both."
        raise InvalidInputError(msg)
    if not experiment_id and not experiment:
        return None
    if experiment:
        experiment_id = str(experiments.ensure(connection, experiment, store.clock()))
    row: Any = experiments.find(connection, experiment_id)
    if row.lifecycle == Lifecycle.DELETED:
        msg = (
            f"The experiment {row.name!r} is deleted. Restore it with "
            f"restore_experiment('{row.id}') before putting runs there."
        )
        raise InvalidInputError(msg)
    return int(row.id)


def _records(connection: Connection, run_ids: list[str]) -> list[Run]:
    """Read runs whole, in the order of their ids."""
    found: dict[str, Run] = {}
    for start in range(0, len(run_ids), TOGETHER):
        query = RUNS.where(_run.c.run_id.in_(run_ids[start : start + TOGETHER]))
        runs = records_of(connection, connection.execute(query).all())
        found |= {run.run_id: run for run in runs}
    return [found[run_id] for run_id in run_ids]


def _check_active(row: Row[Any]) -> None:
    if row.lifecycle == Lifecycle.DELETED:
        msg = (
            f"The run {row.run_id} must be in the 'active' state. Current state is deleted. "
            f"Restore it with restore_run('{row.run_id}')."
        )
        raise InvalidInputError(msg)


def descendants(connection: Connection, run_id: str) -> list[Row[Any]]:
    """Find the runs started inside a run, and those inside them: one look-up a generation."""
    found: dict[str, Row[Any]] = {}
    parents = [run_id]
    while parents:
        rows = [
            row
            for start in range(0, len(parents), TOGETHER)
            for row in connection.execute(
                select(_run).where(_run.c.parent_run_id.in_(parents[start : start + TOGETHER]))
            )
            if row.run_id not in found and row.run_id != run_id
        ]
        found |= {row.run_id: row for row in rows}
        if len(found) > MAX_CHILDREN:
            msg = (
                f"Run {run_id} has more than {MAX_CHILDREN:,} children. Give them by id, in parts."
            )
            raise InvalidInputError(msg)
        parents = [row.run_id for row in rows]
    return list(found.values())


def _place(connection: Connection, row: Row[Any], experiment_id: int) -> None:
    """Give a run, its facts and the logged models that it made there another experiment."""
    new = {PLACE: experiment_id}
    connection.execute(update(_run).where(_run.c.pk == row.pk).values(new))
    for table in run_tables():
        if PLACE in table.c:
            connection.execute(update(table).where(table.c.run_pk == row.pk).values(new))
    model = schema.logged_model
    made = (model.c.source_run_id == row.run_id) & (model.c.experiment_id == row.experiment_id)
    connection.execute(update(model).where(made).values(new))


def _copy(
    connection: Connection, row: Row[Any], run_id: str, experiment_id: int, parent: str | None
) -> int:
    """Copy a run's row and all of its facts; return the copy's number."""
    made = connection.execute(
        insert(_run).values(
            {
                **{name: value for name, value in row._mapping.items() if name != "pk"},  # noqa: SLF001 - its public name
                "run_id": run_id,
                PLACE: experiment_id,
                "parent_run_id": parent,
                # The copy was made by no flow: a flow run's page shows the runs it made.
                "flow_run_id": None,
                "task_slug": None,
            }
        )
    )
    pk = inserted_id(made)
    for table in run_tables():
        new: Mapping[str, Any] = {"run_pk": literal(pk), PLACE: literal(experiment_id)}
        columns = [column for column in table.c if not (column.primary_key and column.name == "id")]
        rows = select(*(new.get(column.name, column) for column in columns)).where(
            table.c.run_pk == row.pk
        )
        connection.execute(insert(table).from_select([column.name for column in columns], rows))
    return pk


def _set_tags(connection: Connection, pk: int, experiment_id: int, tags: dict[str, str]) -> None:
    """Give a copy the tags it has of its own: in the table for search, and in its document."""
    table = schema.tag
    for key, value in tags.items():
        check_key("tag", key)
        check_tag_value(key, value)
    gone = {PARENT, *tags}
    connection.execute(delete(table).where(table.c.run_pk == pk, table.c.key.in_(gone)))
    connection.execute(
        insert(table),
        [
            {
                "run_pk": pk,
                "key": key,
                **split(value),
                PLACE: experiment_id,
                "lifecycle": Lifecycle.ACTIVE.value,
            }
            for key, value in tags.items()
        ],
    )
    kept = schema.run_document
    data = connection.execute(select(kept.c.data).where(kept.c.run_pk == pk)).scalar()
    document = decode(data)
    document.tags = {key: value for key, value in document.tags.items() if key not in gone} | tags
    connection.execute(InsertOrReplace(kept).values(run_pk=pk, data=encode(document)))


def _touch(store: Store, connection: Connection, numbers: set[int]) -> None:
    table = schema.experiment
    connection.execute(
        update(table).where(table.c.id.in_(numbers)).values(updated_ms=store.clock())
    )
