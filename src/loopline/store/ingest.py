"""Ingestion: a writer's facts and its new position, in one transaction, exactly once.

Each fact is accepted or *refused for good*: a refused one is kept with the reason beside the
run it belongs to, and blocks nothing that follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunStatus
from loopline.rules.blocks import Points
from loopline.rules.names import (
    check_artifact_path,
    check_id,
    check_key,
    check_param_value,
    check_tag_value,
)
from loopline.store import experiments, schema
from loopline.store.find import run_or_none
from loopline.store.flow_facts import FlowFacts
from loopline.store.inserted import inserted_id
from loopline.store.metrics import add_points
from loopline.store.runs import add_event, revive_runs

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.store.database import Store

__all__ = ["ingest"]

_run = schema.run
_writer = schema.writer


#: Some params of a run. Primary key look-ups, one a key.
PARAMS = select(schema.param.c.key, schema.param.c.value).where(
    schema.param.c.run_pk == bindparam("pk"),
    schema.param.c.key.in_(bindparam("keys", expanding=True)),
)
#: Values in one statement; SQLite takes at most 32,766.
TOGETHER = 500


def _in_parts(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + TOGETHER] for start in range(0, len(keys), TOGETHER)]


def ingest(store: Store, batch: f.Batch) -> f.Receipt:
    """Take a batch in whole, or tell from where to send again.

    Raises:
        ConflictError: The batch begins past what is acknowledged: records are missing between.
    """
    try:
        return _ingest(store, batch, careful=False)
    except (InvalidInputError, ValueError, OverflowError):
        # The database itself would not have some value. Find out which fact it is and refuse
        # that one: a poisoned record must not be sent again and again for ever.
        return _ingest(store, batch, careful=True)


def _ingest(store: Store, batch: f.Batch, *, careful: bool) -> f.Receipt:
    with store.write() as connection:
        now_ms = store.clock()
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
        for fact in batch.facts:
            if careful:
                ingestion.take_carefully(fact)
            else:
                ingestion.take(fact)
        ingestion.finish()
        connection.execute(
            update(_writer).where(_writer.c.writer == batch.writer).values(acknowledged=batch.end)
        )
        return f.Receipt(acknowledged=batch.end, refused=ingestion.refused)


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
                last_seen_ms=now_ms,
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


class _Ingestion:
    """Takes the facts of one batch; remembers the runs it met, for most facts are of one run."""

    def __init__(self, connection: Connection, batch: f.Batch, now_ms: int) -> None:
        self._connection = connection
        self._writer = batch.writer
        self._adopted = batch.adopted
        self._now_ms = now_ms
        self._runs: dict[str, Row[Any]] = {}
        self._flows = FlowFacts(connection, batch.writer, now_ms)
        self.refused = 0

    def take(self, fact: f.Fact) -> None:
        """Store one fact, or note why it is refused.

        Whatever can be wrong with a fact is found before anything of it is written.
        """
        try:
            self._dispatch(fact)
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            self._refuse(fact, str(error))

    def take_carefully(self, fact: f.Fact) -> None:
        """Store one fact such that the database's own refusal undoes this fact alone."""
        try:
            with self._connection.begin_nested():
                self._dispatch(fact)
                self._flows.write()
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            self._refuse(fact, str(error))
        except (IntegrityError, DataError, InterfaceError, ValueError, OverflowError) as error:
            self._runs.clear()
            self._flows = FlowFacts(self._connection, self._writer, self._now_ms)
            self._refuse(fact, f"The database cannot hold it ({type(error).__name__}).")

    def finish(self) -> None:
        """Write what was gathered."""
        self._flows.write()

    def _dispatch(self, fact: f.Fact) -> None:
        match fact:
            case f.MetricPoints():
                check_key("metric", fact.key)
                points = Points.from_columns(fact.steps, fact.timestamps_ms, fact.values)
                add_points(self._connection, self._run(fact.run_id), fact.key, points)
            case f.ParamsLogged():
                self._params(fact)
            case f.TagsSet():
                self._tags(fact)
            case f.TagRemoved():
                self._remove_tag(fact)
            case f.RunStarted():
                self._start(fact)
            case f.RunEnded():
                self._end(fact)
            case f.ArtifactLogged():
                self._artifact(fact)
            case f.InputLogged():
                self._input(fact)
            case f.FlowRunState():
                self._flows.set_flow_run_state(fact)
            case f.TaskRunState():
                self._flows.set_task_run_state(fact)
            case f.LogsWritten():
                self._flows.add_logs(fact)

    def _refuse(self, fact: f.Fact, reason: str) -> None:
        self.refused += 1
        self._connection.execute(
            insert(schema.refused).values(
                run_id=getattr(fact, "run_id", None) or getattr(fact, "flow_run_id", ""),
                writer=self._writer,
                at_ms=self._now_ms,
                fact=msgspec.json.encode(fact).decode(),
                reason=reason,
            )
        )

    def _run(self, run_id: str, *, ended: bool = False) -> Row[Any]:
        """Get the run a fact is of, making a stub when its start has not come yet.

        A deleted run takes nothing more but the news that it has ``ended``.
        """
        run = self._runs.get(run_id)
        if run is not None:
            return run
        run = run_or_none(self._connection, run_id)
        if run is None:
            check_id("run id", run_id)
            experiment = experiments.ensure(self._connection, "Default", self._now_ms)
            self._connection.execute(
                insert(_run).values(
                    run_id=run_id,
                    experiment_id=experiment,
                    status=RunStatus.RUNNING,
                    start_ms=self._now_ms,
                    is_stub=True,
                )
            )
            run = run_or_none(self._connection, run_id)
            assert run is not None  # noqa: S101 - inserted in this transaction
        if run.lifecycle == Lifecycle.DELETED and not ended:
            msg = (
                f"The run {run_id} must be in the 'active' state. Current state is deleted. "
                f"Restore it with `loopline runs restore {run_id}`."
            )
            raise InvalidInputError(msg)
        self._connection.execute(
            insert(schema.writer_run)
            .prefix_with("OR IGNORE", dialect="sqlite")
            .values(run_pk=run.pk, writer=self._writer)
        )
        if run.ended_by == "adopter" and not self._adopted:
            # A run was given up with one of its writers, and here another one speaks.
            revive_runs(self._connection, self._writer, self._now_ms)
        self._runs[run_id] = run
        return run

    def _start(self, fact: f.RunStarted) -> None:
        known = run_or_none(self._connection, fact.run_id)
        is_new = known is None or known.is_stub
        check_id("run id", fact.run_id)
        self._check_tags(fact.tags)
        if fact.experiment_id:
            experiment = int(experiments.find(self._connection, fact.experiment_id).id)
        else:
            experiment = experiments.ensure(
                self._connection, fact.experiment or "Default", self._now_ms
            )
        run = self._run(fact.run_id)
        if is_new:
            self._connection.execute(
                update(_run)
                .where(_run.c.pk == run.pk)
                .values(
                    experiment_id=experiment,
                    name=fact.name,
                    start_ms=fact.start_ms,
                    user=fact.user,
                    parent_run_id=fact.parent_run_id,
                    flow_run_id=fact.flow_run_id,
                    task_slug=fact.task_slug,
                    is_stub=False,
                )
            )
            self._move_facts(run, experiment)
            self._set_experiment_updated(experiment)
        elif fact.resumed:
            self._connection.execute(
                update(_run)
                .where(_run.c.pk == run.pk)
                .values(
                    status=RunStatus.RUNNING,
                    end_ms=None,
                    duration_ms=None,
                    end_reason="",
                    ended_by="",
                )
            )
        if is_new or fact.resumed:
            add_event(
                self._connection,
                run.pk,
                fact.start_ms,
                RunStatus.RUNNING,
                "resumed" if fact.resumed else "",
                fact.user,
            )
        self._runs.pop(fact.run_id, None)
        if fact.tags:
            self._tags(f.TagsSet(run_id=fact.run_id, tags=fact.tags))

    def _set_experiment_updated(self, experiment: int) -> None:
        table = schema.experiment
        self._connection.execute(
            update(table).where(table.c.id == experiment).values(updated_ms=self._now_ms)
        )

    def _move_facts(self, run: Row[Any], experiment: int) -> None:
        """Give facts that came before the run's start the experiment it really has."""
        if run.experiment_id == experiment:
            return
        for table in (schema.param, schema.tag, schema.metric):
            self._connection.execute(
                update(table).where(table.c.run_pk == run.pk).values(experiment_id=experiment)
            )

    def _end(self, fact: f.RunEnded) -> None:
        run = self._run(fact.run_id, ended=True)
        current = run_or_none(self._connection, fact.run_id)
        assert current is not None  # noqa: S101 - `_run` made it
        if fact.adopted and current.status != RunStatus.RUNNING:
            return  # Somebody nearer to the run has spoken already.
        # The wall clock may have jumped; a run never ends before it began.
        end_ms = max(fact.end_ms, current.start_ms)
        self._connection.execute(
            update(_run)
            .where(_run.c.pk == run.pk)
            .values(
                status=fact.status,
                end_ms=end_ms,
                duration_ms=fact.duration_ms,
                end_reason=fact.reason,
                ended_by="adopter" if fact.adopted else "owner",
            )
        )
        add_event(self._connection, run.pk, end_ms, fact.status, fact.reason)

    def _params(self, fact: f.ParamsLogged) -> None:
        table = schema.param
        for key, value in fact.params.items():
            check_key("param", key)
            check_param_value(key, value)
        run = self._run(fact.run_id)
        known: dict[str, str] = {}
        for keys in _in_parts(list(fact.params)):
            rows = self._connection.execute(PARAMS, {"pk": run.pk, "keys": keys})
            known.update({row.key: row.value for row in rows})
        for key, value in fact.params.items():
            if known.get(key, value) != value:
                msg = (
                    "Changing param values is not allowed. Param with "
                    f"key='{key}' was already logged with value='{known[key]}' for run "
                    f"ID='{fact.run_id}'. The new value was '{value}'; log it under another key."
                )
                raise InvalidInputError(msg)
        self._insert_texts(
            table, run, {key: v for key, v in fact.params.items() if key not in known}
        )

    def _tags(self, fact: f.TagsSet) -> None:
        table = schema.tag
        self._check_tags(fact.tags)
        run = self._run(fact.run_id)
        for keys in _in_parts(list(fact.tags)):
            self._connection.execute(
                delete(table).where(table.c.run_pk == run.pk, table.c.key.in_(keys))
            )
        self._insert_texts(table, run, fact.tags)
        if "mlflow.runName" in fact.tags:
            self._connection.execute(
                update(_run).where(_run.c.pk == run.pk).values(name=fact.tags["mlflow.runName"])
            )

    def _check_tags(self, tags: dict[str, str]) -> None:
        for key, value in tags.items():
            check_key("tag", key)
            check_tag_value(key, value)

    def _insert_texts(self, table: Any, run: Row[Any], texts: dict[str, str]) -> None:  # noqa: ANN401
        if texts:
            self._connection.execute(
                insert(table),
                [
                    {
                        "run_pk": run.pk,
                        "key": key,
                        "value": value,
                        "experiment_id": run.experiment_id,
                        "lifecycle": run.lifecycle,
                    }
                    for key, value in texts.items()
                ],
            )

    def _remove_tag(self, fact: f.TagRemoved) -> None:
        run = self._run(fact.run_id)
        table = schema.tag
        self._connection.execute(
            delete(table).where(table.c.run_pk == run.pk, table.c.key == fact.key)
        )

    def _artifact(self, fact: f.ArtifactLogged) -> None:
        path = check_artifact_path(fact.path)
        run = self._run(fact.run_id)
        self._connection.execute(
            insert(schema.artifact)
            .prefix_with("OR REPLACE", dialect="sqlite")
            .values(
                run_pk=run.pk,
                path=path,
                sha256=fact.sha256,
                size_bytes=fact.size_bytes,
                at_ms=fact.at_ms,
            )
        )

    def _input(self, fact: f.InputLogged) -> None:
        run = self._run(fact.run_id)
        table = schema.dataset
        dataset_id = self._connection.execute(
            select(table.c.id).where(
                table.c.name == fact.dataset.name, table.c.digest == fact.dataset.digest
            )
        ).scalar_one_or_none()
        if dataset_id is None:
            made = self._connection.execute(
                insert(table).values(
                    name=fact.dataset.name,
                    digest=fact.dataset.digest,
                    document=msgspec.json.encode(fact.dataset).decode(),
                )
            )
            dataset_id = inserted_id(made)
        self._connection.execute(
            insert(schema.run_input)
            .prefix_with("OR IGNORE", dialect="sqlite")
            .values(run_pk=run.pk, dataset_id=dataset_id, context=fact.context)
        )
