"""Facts of runs: taken one by one in memory, written together.

The runs of a batch are read once, with their documents; each fact is checked and changes what
is in memory; at the end every table gets one statement with all its rows. So a thousand runs,
or a thousand params, cost a few statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunStatus
from loopline.rules.names import (
    check_artifact_path,
    check_id,
    check_key,
    check_param_value,
    check_tag_value,
)
from loopline.rules.points import Points, are_apart, merge, merge_summaries, summarise, without
from loopline.store import experiments, schema
from loopline.store.artifact_paths import ArtifactPaths
from loopline.store.documents import RUNS, MetricEntry, RunDocument, decode, encode
from loopline.store.find import deleted_run, no_run
from loopline.store.long_texts import split
from loopline.store.metrics import (
    ADD_BLOCK,
    MERGE_PAST,
    block_rows,
    merge_newest_blocks,
    newest_points,
    summary_columns,
)
from loopline.store.run_inputs import write_input
from loopline.store.upserts import InsertOrIgnore, InsertOrReplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Row

    from loopline.records import facts as f

__all__ = ["RunFacts"]

_run = schema.run
#: Values in one statement; SQLite takes at most 32,766.
TOGETHER = 500

#: What a fact may change of a run's row.
_CHANGING = (
    "experiment_id", "name", "status", "start_ms", "end_ms", "duration_ms", "user", "end_reason",
    "ended_by", "parent_run_id", "flow_run_id", "task_slug", "is_stub",
)  # fmt: skip
_FACT_TABLES = (schema.param, schema.tag, schema.metric)

ADD_RUN = InsertOrIgnore(_run).inline()  # Their numbers are asked for together.
CHANGE_RUN = (
    update(_run)
    .where(_run.c.pk == bindparam("at"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
ADD_PARAM = insert(schema.param)
PUT_TAG = InsertOrReplace(schema.tag)
REMOVE_TAG = delete(schema.tag).where(
    schema.tag.c.run_pk == bindparam("at"), schema.tag.c.key == bindparam("tag")
)
PUT_METRIC = InsertOrReplace(schema.metric)
PUT_DOCUMENT = InsertOrReplace(schema.run_document)
PUT_ARTIFACT = InsertOrReplace(schema.artifact)
PUT_MODEL = InsertOrReplace(schema.run_model)
ADD_EVENT = insert(schema.run_event)
LINK_WRITER = InsertOrIgnore(schema.writer_run)


class _Run:
    """A run as it is so far, and what of it is to be written."""

    def __init__(self, row: dict[str, Any], document: RunDocument, pk: int | None) -> None:
        self.pk = pk
        self.row = row
        self.document = document
        self.is_changed = False
        self.has_moved = False
        self.params: dict[str, str] = {}
        #: Tags set, and with None those taken off.
        self.tags: dict[str, str | None] = {}
        self.points: dict[str, list[Points]] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.inputs: list[f.InputLogged] = []
        self.models: dict[tuple[str, str], int] = {}
        self.events: list[dict[str, Any]] = []

    @classmethod
    def read(cls, row: Row[Any]) -> _Run:
        fields = {name: getattr(row, name) for name in (*_CHANGING, "run_id", "lifecycle")}
        return cls(fields, decode(row.document), row.pk)

    @classmethod
    def stub(cls, run_id: str, experiment: int, now_ms: int) -> _Run:
        row = dict.fromkeys(("end_ms", "duration_ms", "parent_run_id", "flow_run_id", "task_slug"))
        return cls(
            row
            | dict.fromkeys(("name", "user", "end_reason", "ended_by"), "")
            | {
                "run_id": run_id,
                "experiment_id": experiment,
                "status": RunStatus.RUNNING,
                "lifecycle": Lifecycle.ACTIVE,
                "start_ms": now_ms,
                "is_stub": True,
            },
            RunDocument(),
            None,
        )

    def change(self, **values: object) -> None:
        self.row.update(values)
        self.is_changed = True

    def add_event(self, at_ms: int, status: RunStatus, reason: str = "", actor: str = "") -> None:
        self.events.append({"at_ms": at_ms, "status": status, "reason": reason, "actor": actor})

    def of(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Add what every fact repeats of its run, so that a search needs no join."""
        same = {
            "run_pk": self.pk,
            "experiment_id": self.row["experiment_id"],
            "lifecycle": self.row["lifecycle"],
        }
        for row in rows:
            yield row | same


class RunFacts:
    """The run facts of one batch; ``write`` stores what was taken.

    Whatever can be wrong with a fact is found before anything of it is kept.
    """

    def __init__(
        self,
        connection: Connection,
        writer: str,
        now_ms: int,
        *,
        adopted: bool = False,
        known_only: bool = False,
        acknowledged: bool = False,
    ) -> None:
        """Take facts of a writer's journal; or (``known_only``) of a request with no journal.

        A journal's facts may come before their run's start, which makes a stub of the run. A
        request is told that there is no such run. What was ``acknowledged`` is taken although
        its run has been deleted since.
        """
        self._connection = connection
        self._known_only = known_only
        self._writer = writer
        self._now_ms = now_ms
        self._adopted = adopted
        self._acknowledged = acknowledged
        self._runs: dict[str, _Run] = {}
        self._experiments: dict[str, int] = {}
        self._updated: set[int] = set()
        table = schema.artifact
        self._paths = ArtifactPaths(connection, table, table.c.run_pk)

    def expect(self, run_ids: Iterable[str]) -> None:
        """Read the runs that the batch is of, some hundreds at a time."""
        wanted = list(run_ids)
        for start in range(0, len(wanted), TOGETHER):
            which = _run.c.run_id.in_(wanted[start : start + TOGETHER])
            for row in self._connection.execute(RUNS.where(which)):
                self._runs[row.run_id] = _Run.read(row)

    # --- taking ----------------------------------------------------------------------------

    def add_points(self, fact: f.MetricPoints) -> None:
        """Take points of a metric."""
        check_key("metric", fact.key)
        points = Points.from_columns(fact.steps, fact.timestamps_ms, fact.values)
        run = self._get(fact.run_id)
        if len(points):
            run.points.setdefault(fact.key, []).append(points)

    def start(self, fact: f.RunStarted) -> None:
        """Take the start of a run, new, known by its facts only, or resumed."""
        check_id("run id", fact.run_id)
        _check_tags(fact.tags)
        if fact.experiment_id:
            experiment = int(experiments.find(self._connection, fact.experiment_id).id)
        else:
            experiment = self._experiment(fact.experiment or "Default")
        run = self._get(fact.run_id, starts=not fact.resumed)
        is_new = bool(run.row["is_stub"])
        if is_new:
            run.has_moved |= run.pk is not None and run.row["experiment_id"] != experiment
            run.change(
                experiment_id=experiment,
                name=fact.name,
                start_ms=fact.start_ms,
                user=fact.user,
                parent_run_id=fact.parent_run_id,
                flow_run_id=fact.flow_run_id,
                task_slug=fact.task_slug,
                is_stub=False,
            )
            self._updated.add(experiment)
        elif fact.resumed:
            run.change(
                status=fact.status, end_ms=None, duration_ms=None, end_reason="", ended_by=""
            )
        if is_new or fact.resumed:
            reason = "resumed" if fact.resumed else ""
            run.add_event(fact.start_ms, fact.status, reason, fact.user)
        if fact.tags:
            _set_tags(run, fact.tags)

    def end(self, fact: f.RunEnded) -> None:
        """Take the end of a run."""
        run = self._get(fact.run_id, ended=True)
        if fact.adopted and run.row["status"] != RunStatus.RUNNING:
            return  # Somebody nearer to the run has spoken already.
        # The wall clock may have jumped; a run never ends before it began.
        end_ms = max(fact.end_ms, run.row["start_ms"])
        run.change(
            status=fact.status,
            end_ms=end_ms,
            duration_ms=fact.duration_ms,
            end_reason=fact.reason,
            ended_by="adopter" if fact.adopted else "owner",
        )
        run.add_event(end_ms, fact.status, fact.reason)

    def add_params(self, fact: f.ParamsLogged) -> None:
        """Take params; a key keeps its first value for good."""
        for key, value in fact.params.items():
            check_key("param", key)
            check_param_value(key, value)
        run = self._get(fact.run_id)
        known = run.document.params
        for key, value in fact.params.items():
            if known.get(key, value) != value:
                msg = (
                    "Changing param values is not allowed. Param with "
                    f"key='{key}' was already logged with value='{known[key]}' for run "
                    f"ID='{fact.run_id}'. The new value was '{value}'; log it under another key."
                )
                raise InvalidInputError(msg)
        run.params |= {key: value for key, value in fact.params.items() if key not in known}
        run.document.params |= run.params

    def set_tags(self, fact: f.TagsSet) -> None:
        """Take tags; the last value counts."""
        _check_tags(fact.tags)
        _set_tags(self._get(fact.run_id), fact.tags)

    def remove_tag(self, fact: f.TagRemoved) -> None:
        """Take a tag off."""
        run = self._get(fact.run_id)
        if fact.must_exist and fact.key not in run.document.tags:
            msg = f"No tag with name: {fact.key} in run with id {fact.run_id}"
            raise NotFoundError(msg)
        run.document.tags.pop(fact.key, None)
        run.tags[fact.key] = None

    def add_artifact(self, fact: f.ArtifactLogged) -> None:
        """Take a file."""
        path = check_artifact_path(fact.path)
        run = self._get(fact.run_id)
        self._paths.take(fact.run_id, run.pk, path)
        run.artifacts[path] = {
            "path": path,
            "sha256": fact.sha256,
            "size_bytes": fact.size_bytes,
            "at_ms": fact.at_ms,
        }

    def add_input(self, fact: f.InputLogged) -> None:
        """Take a data version that a run read."""
        _check_tags(fact.tags)
        self._get(fact.run_id).inputs.append(fact)

    def add_model(self, fact: f.LoggedModelUsed) -> None:
        """Take a logged model that a run read or made; the last step of one counts."""
        check_id("logged model id", fact.model_id)
        self._get(fact.run_id).models[fact.role, fact.model_id] = fact.step

    def _get(self, run_id: str, *, ended: bool = False, starts: bool = False) -> _Run:
        """Get the run a fact is of, making a stub when its start has not come yet.

        A deleted run takes nothing more but the news that it has ``ended``.
        """
        run = self._runs.get(run_id)
        if run is None:
            check_id("run id", run_id)
            if self._known_only and not starts:
                raise no_run(run_id)
            run = _Run.stub(run_id, self._experiment("Default"), self._now_ms)
            self._runs[run_id] = run
        if run.row["lifecycle"] == Lifecycle.DELETED and not (ended or self._acknowledged):
            raise deleted_run(run_id)
        if run.row["ended_by"] == "adopter" and not self._adopted:
            # A run was given up with one of its writers, and here another one speaks.
            run.change(status=RunStatus.RUNNING, end_ms=None, end_reason="", ended_by="")
            run.add_event(self._now_ms, RunStatus.RUNNING, "its process is back")
        return run

    def _experiment(self, name: str) -> int:
        if name not in self._experiments:
            self._experiments[name] = experiments.ensure(self._connection, name, self._now_ms)
        return self._experiments[name]

    # --- writing ---------------------------------------------------------------------------

    def write(self) -> None:
        """Store what was taken since the last time."""
        runs = list(self._runs.values())
        self._add_runs([run for run in runs if run.pk is None])
        for run in runs:
            if run.has_moved:
                self._move(run)
        self._execute(CHANGE_RUN, (_changes(run) for run in runs if run.is_changed))
        if self._writer:
            self._execute(LINK_WRITER, ({"run_pk": run.pk, "writer": self._writer} for run in runs))
        self._execute(ADD_PARAM, (row for run in runs for row in run.of(_texts(run.params))))
        self._write_tags(runs)
        changed = [run for run in runs if run.params or run.tags or run.points]
        self._write_points([run for run in runs if run.points])
        self._execute(
            PUT_DOCUMENT, ({"run_pk": run.pk, "data": encode(run.document)} for run in changed)
        )
        self._execute(
            PUT_ARTIFACT,
            (row | {"run_pk": run.pk} for run in runs for row in run.artifacts.values()),
        )
        for run in runs:
            for read in run.inputs:
                write_input(self._connection, run.pk, read)
        self._execute(
            PUT_MODEL,
            (
                {"run_pk": run.pk, "role": role, "model_id": model_id, "step": step}
                for run in runs
                for (role, model_id), step in run.models.items()
            ),
        )
        self._execute(ADD_EVENT, (row | {"run_pk": run.pk} for run in runs for row in run.events))
        self._write_updated()
        self._runs = {}

    def _execute(self, statement: Any, rows: Iterable[dict[str, Any]]) -> None:  # noqa: ANN401
        if listed := list(rows):
            self._connection.execute(statement, listed)

    def _add_runs(self, runs: list[_Run]) -> None:
        """Insert new runs, and learn the numbers they were given."""
        self._execute(ADD_RUN, (run.row for run in runs))
        for start in range(0, len(runs), TOGETHER):
            part = {run.row["run_id"]: run for run in runs[start : start + TOGETHER]}
            query = select(_run.c.run_id, _run.c.pk).where(_run.c.run_id.in_(list(part)))
            for row in self._connection.execute(query):
                part[row.run_id].pk = row.pk
        for run in runs:
            run.is_changed = False

    def _move(self, run: _Run) -> None:
        """Give facts that came before the run's start the experiment it really has."""
        for table in _FACT_TABLES:
            self._connection.execute(
                update(table)
                .where(table.c.run_pk == run.pk)
                .values(experiment_id=run.row["experiment_id"])
            )

    def _write_tags(self, runs: list[_Run]) -> None:
        gone = ((run.pk, key) for run in runs for key, text in run.tags.items() if text is None)
        self._execute(REMOVE_TAG, ({"at": pk, "tag": key} for pk, key in gone))
        there = (
            row
            for run in runs
            for row in run.of(_texts({k: v for k, v in run.tags.items() if v is not None}))
        )
        self._execute(PUT_TAG, there)

    def _write_points(self, runs: list[_Run]) -> None:
        """Write the points of all metrics: new blocks and summaries, and merge where it is time."""
        blocks: list[dict[str, Any]] = []
        crowded: list[tuple[_Run, str]] = []
        for run in runs:
            assert run.pk is not None  # noqa: S101 - inserted above
            for key, points in self._unseen(run).items():
                if not len(points):
                    continue
                before = run.document.metrics.get(key)
                new = block_rows(run.pk, key, points)
                blocks += new
                summary, count = summarise(points), len(new)
                if before is not None:
                    summary = merge_summaries(before.summary(), summary)
                    count += before.blocks
                    if count > MERGE_PAST:
                        crowded.append((run, key))
                run.document.metrics[key] = MetricEntry.of(summary, count)
        self._execute(ADD_BLOCK, blocks)
        for run, key in crowded:
            assert run.pk is not None  # noqa: S101 - as above
            entry = run.document.metrics[key]
            merged = merge_newest_blocks(self._connection, run.pk, key)
            run.document.metrics[key] = MetricEntry.of(
                merged.summary or entry.summary(), merged.blocks
            )
        self._execute(
            PUT_METRIC,
            (
                row
                for run in runs
                for row in run.of(
                    {"key": key, **summary_columns(run.document.metrics[key].summary())}
                    for key in run.points
                )
            ),
        )

    def _unseen(self, run: _Run) -> dict[str, Points]:
        """Order the points of each metric, without those that a client sends again.

        It does when an answer was lost: a single point, which is the last one then; or whatever
        was written just before the server was killed, which is in the newest blocks.
        """
        came = {key: merge(parts) for key, parts in run.points.items()}
        late = []
        for key, points in came.items():
            before = run.document.metrics.get(key)
            if before is None or are_apart(before.last, points.at(0)):
                continue  # As nearly all do.
            if before.is_last(points.at(0)):
                came[key] = points.part(1, len(points))
            else:
                late.append(key)
        if late:
            assert run.pk is not None  # noqa: S101 - it has points already
            for key, known in newest_points(self._connection, run.pk, late).items():
                came[key] = without(came[key], known)
        return came

    def _write_updated(self) -> None:
        table = schema.experiment
        for experiment in self._updated:
            self._connection.execute(
                update(table).where(table.c.id == experiment).values(updated_ms=self._now_ms)
            )
        self._updated.clear()


def _check_tags(tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_key("tag", key)
        check_tag_value(key, value)


def _set_tags(run: _Run, tags: dict[str, str]) -> None:
    run.tags |= tags
    run.document.tags |= tags
    if "mlflow.runName" in tags:
        run.change(name=tags["mlflow.runName"])


def _texts(texts: dict[str, str]) -> Iterator[dict[str, Any]]:
    for key, value in texts.items():
        yield {"key": key, **split(value)}


def _changes(run: _Run) -> dict[str, Any]:
    return {"at": run.pk, **{f"new_{name}": run.row[name] for name in _CHANGING}}
