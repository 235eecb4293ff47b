"""An MLflow database as a source: SQLite or PostgreSQL, of MLflow 1, 2 and 3."""

from __future__ import annotations

from array import array
from functools import cached_property
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from loopline.records.logged_models import LoggedModel, LoggedModelPoint, ModelRole, RunModel
from loopline.transfer.mlflow_database import MlflowDatabase, optional
from loopline.transfer.mlflow_facts import (
    PARENT,
    dataset_input,
    lifecycle_of,
    logged_model_status,
    status_of,
)
from loopline.transfer.mlflow_sql_registry import (
    DEFAULT_WORKSPACE,
    in_workspace,
    read_models,
    tables_left,
)
from loopline.transfer.places import is_local, local_path, place_of
from loopline.transfer.points import ordered
from loopline.transfer.source import Note, SourceExperiment, SourceLoggedModel, SourceRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Select

    from loopline.records.tracking import RunInput
    from loopline.transfer.source import Place, Series, SourceModel

__all__ = ["SqlSource"]


#: How MLflow 3 writes that a run read or made a logged model: as an input from the run to it.
USES = {"RUN_INPUT": ModelRole.INPUT, "RUN_OUTPUT": ModelRole.OUTPUT}


class _Columns(NamedTuple):
    """Points of one metric as they are read."""

    steps: array[int]
    timestamps_ms: array[int]
    values: array[float]


class SqlSource:
    """An MLflow database; its files are found by the paths and addresses that stand in it."""

    def __init__(self, url: str, *, artifacts: Path | None = None) -> None:
        """Open it for reading.

        Args:
            url: Such as ``sqlite:///mlflow.db`` or ``postgresql://mlflow@db/mlflow``.
            artifacts: Folder that now holds what lay at the artifact root.
        """
        self._database = MlflowDatabase(url)
        self._artifacts = artifacts
        self._notes: list[Note] = []
        self._chosen: list[str] = []
        self._roots: dict[str, str] = {}
        self._missing: dict[str, int] = {}

    @property
    def name(self) -> str:
        """Its address, without a password."""
        return self._database.where

    @property
    def identity(self) -> str:
        """Its address without user and password."""
        url = self._database.url
        if url.get_backend_name() == "sqlite":
            return f"mlflow\0{Path(str(url.database)).resolve()}"
        return f"mlflow\0{url.set(username=None, password=None).render_as_string()}"

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # --- experiments ---------------------------------------------------------------------------

    def experiments(self) -> list[SourceExperiment]:
        """Read every experiment, deleted ones too."""
        tags: dict[Any, dict[str, str]] = {}
        for row in self._database.all_of("experiment_tags"):
            tags.setdefault(row.experiment_id, {})[row.key] = row.value or ""
        found = []
        of = self._database.table("experiments")
        query = select(
            of.c.experiment_id,
            of.c.name,
            of.c.lifecycle_stage,
            of.c.artifact_location,
            optional(of, "creation_time"),
            optional(of, "last_update_time"),
            optional(of, "workspace", DEFAULT_WORKSPACE),
        ).order_by(of.c.experiment_id)
        for row in self._database.rows(query):
            self._locations[str(row.experiment_id)] = row.artifact_location or ""
            created_ms = int(row.creation_time or 0)
            found.append(
                SourceExperiment(
                    experiment_id=str(row.experiment_id),
                    name=in_workspace(row.name, row.workspace, "/"),
                    lifecycle=lifecycle_of(row.lifecycle_stage),
                    created_ms=created_ms,
                    updated_ms=int(row.last_update_time or created_ms),
                    tags=tags.get(row.experiment_id, {}),
                )
            )
        return found

    @cached_property
    def _locations(self) -> dict[str, str]:
        """Artifact location per experiment; filled as the experiments are read."""
        return {}

    # --- runs ----------------------------------------------------------------------------------

    def count_runs(self, experiment: SourceExperiment) -> int:
        """Count the runs of an experiment."""
        of = self._database.table("runs")
        query = select(func.count()).where(of.c.experiment_id == int(experiment.experiment_id))
        return self._count(query)

    def runs(self, experiment: SourceExperiment, together: int) -> Iterator[list[SourceRun]]:
        """Read the runs of an experiment, in the order of their ids."""
        self._chosen.append(experiment.experiment_id)
        of = self._database.table("runs")
        query = (
            select(
                of.c.run_uuid,
                optional(of, "name", ""),
                of.c.status,
                of.c.lifecycle_stage,
                of.c.start_time,
                of.c.end_time,
                of.c.user_id,
                of.c.artifact_uri,
            )
            .where(of.c.experiment_id == int(experiment.experiment_id))
            .order_by(of.c.run_uuid)
            .limit(together)
        )
        last = ""
        while rows := list(self._database.rows(query.where(of.c.run_uuid > last))):
            last = rows[-1].run_uuid
            yield self._whole(rows, experiment)

    def _whole(self, rows: list[Any], experiment: SourceExperiment) -> list[SourceRun]:
        ids = [row.run_uuid for row in rows]
        params = self._texts("params", ids)
        tags = self._texts("tags", ids)
        inputs = self._inputs(ids)
        models = self._used(ids)
        runs = []
        for row in rows:
            own = tags.get(row.run_uuid, {})
            self._roots[row.run_uuid] = row.artifact_uri or ""
            runs.append(
                SourceRun(
                    run_id=row.run_uuid,
                    experiment_id=experiment.experiment_id,
                    name=row.name or own.get("mlflow.runName", ""),
                    status=status_of(row.status),
                    lifecycle=lifecycle_of(row.lifecycle_stage),
                    start_ms=row.start_time,
                    end_ms=row.end_time,
                    user=row.user_id or "",
                    parent_run_id=own.get(PARENT),
                    params=params.get(row.run_uuid, {}),
                    tags=own,
                    inputs=inputs.get(row.run_uuid, []),
                    place=self._place(row.artifact_uri or "", experiment),
                    models=models.get(row.run_uuid, []),
                )
            )
        return runs

    def _texts(self, name: str, ids: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for row in self._database.of_runs(name, "run_uuid", ids):
            found.setdefault(row.run_uuid, {})[row.key] = row.value or ""
        return found

    def _place(self, uri: str, experiment: SourceExperiment) -> Place | None:
        """Find files; what was never written has no folder, what was moved has none either."""
        if not uri:
            return None
        root = self._locations.get(experiment.experiment_id) or uri
        if self._artifacts is None and _is_gone(uri) and _is_gone(str(Path(root).parent)):
            self._missing[root] = self._missing.get(root, 0) + 1
        return place_of(uri, bases=self._bases, moved_to=self._artifacts)

    @property
    def _bases(self) -> list[Path]:
        folder = self._database.folder
        return [*([folder] if folder else []), Path.cwd()]

    def _inputs(self, ids: list[str]) -> dict[str, list[RunInput]]:
        links = [
            row
            for row in self._database.of_runs("inputs", "destination_id", ids)
            if row.destination_type == "RUN"
        ]
        links = [row for row in links if row.source_type == "DATASET"]
        if not links:
            return {}
        found: dict[str, list[RunInput]] = {}
        datasets = {
            row.dataset_uuid: row
            for row in self._database.of_runs(
                "datasets", "dataset_uuid", list({row.source_id for row in links})
            )
        }
        tags: dict[str, dict[str, str]] = {}
        for row in self._database.of_runs(
            "input_tags", "input_uuid", [row.input_uuid for row in links]
        ):
            tags.setdefault(row.input_uuid, {})[row.name] = row.value
        for link in links:
            own = tags.get(link.input_uuid, {})
            data = datasets.get(link.source_id)
            if data is not None:
                found.setdefault(link.destination_id, []).append(
                    dataset_input(
                        {
                            "name": data.name,
                            "digest": data.digest,
                            "source_type": data.dataset_source_type or "",
                            "source": data.dataset_source or "",
                            "schema": data.dataset_schema or "",
                            "profile": data.dataset_profile or "",
                        },
                        own,
                    )
                )
        return found

    def _used(self, ids: list[str]) -> dict[str, list[RunModel]]:
        """Read which logged models runs read and made."""
        if "logged_models" not in self._database.tables:
            return {}  # MLflow before 3.
        of = self._database.table("inputs")
        # By the kind first, with which the primary key begins.
        kinds = of.c.source_type.in_(list(USES))
        found: dict[str, list[RunModel]] = {}
        for row in self._database.rows(select(of).where(kinds, of.c.source_id.in_(ids))):
            used = RunModel(
                model_id=row.destination_id, role=USES[row.source_type], step=int(row.step or 0)
            )
            found.setdefault(row.source_id, []).append(used)
        return found

    # --- logged models -------------------------------------------------------------------------

    def logged_models(
        self, experiment: SourceExperiment, together: int
    ) -> Iterator[list[SourceLoggedModel]]:
        """Read the logged models of an experiment, in the order of their ids."""
        if "logged_models" not in self._database.tables:
            return  # MLflow before 3.
        of = self._database.table("logged_models")
        query = (
            select(of)
            .where(of.c.experiment_id == int(experiment.experiment_id))
            .order_by(of.c.model_id)
            .limit(together)
        )
        last = ""
        while rows := list(self._database.rows(query.where(of.c.model_id > last))):
            last = rows[-1].model_id
            yield self._whole_models(rows)

    def _whole_models(self, rows: list[Any]) -> list[SourceLoggedModel]:
        ids = [row.model_id for row in rows]
        texts: dict[str, dict[str, dict[str, str]]] = {"param": {}, "tag": {}}
        for kind, own in texts.items():
            for row in self._database.of_runs(f"logged_model_{kind}s", "model_id", ids):
                key, value = getattr(row, f"{kind}_key"), getattr(row, f"{kind}_value")
                own.setdefault(row.model_id, {})[key] = value or ""
        points: dict[str, list[LoggedModelPoint]] = {}
        for row in self._database.of_runs("logged_model_metrics", "model_id", ids):
            points.setdefault(row.model_id, []).append(
                LoggedModelPoint(
                    model_id=row.model_id,
                    key=row.metric_name,
                    value=nan if row.metric_value is None else row.metric_value,
                    step=row.metric_step,
                    timestamp_ms=row.metric_timestamp_ms,
                    run_id=row.run_id,
                    dataset_name=row.dataset_name or "",
                    dataset_digest=row.dataset_digest or "",
                )
            )
        found = []
        for row in rows:
            model = LoggedModel(
                model_id=row.model_id,
                experiment_id=str(row.experiment_id),
                name=row.name,
                model_type=row.model_type or "",
                source_run_id=row.source_run_id or "",
                status=logged_model_status(row.status),
                status_message=row.status_message or "",
                lifecycle=lifecycle_of(row.lifecycle_stage),
                created_ms=row.creation_timestamp_ms,
                updated_ms=row.last_updated_timestamp_ms,
                params=texts["param"].get(row.model_id, {}),
                tags=texts["tag"].get(row.model_id, {}),
                metrics=points.get(row.model_id, []),
            )
            place = place_of(row.artifact_location, bases=self._bases, moved_to=self._artifacts)
            found.append(SourceLoggedModel(model=model, place=place))
        return found

    # --- metrics -------------------------------------------------------------------------------

    def series(self, runs: list[SourceRun]) -> Iterator[Series]:
        """Read every metric of some runs in one go; the points of one run are held at a time."""
        of = self._database.table("metrics")
        query = (
            select(
                of.c.run_uuid,
                of.c.key,
                optional(of, "step", 0),
                of.c.timestamp,
                of.c.value,
                optional(of, "is_nan", 0),
            )
            .where(of.c.run_uuid.in_([run.run_id for run in runs]))
            # By run alone, which an index gives: sorting all points is what takes longest.
            .order_by(of.c.run_uuid)
        )
        current = ""
        series: dict[str, _Columns] = {}
        for run_id, key, step, timestamp, value, is_nan in self._database.rows(query):
            if run_id != current:
                yield from _all_of(current, series)
                current, series = run_id, {}
            columns = series.get(key)
            if columns is None:
                columns = series[key] = _Columns(array("q"), array("q"), array("d"))
            columns.steps.append(step)
            columns.timestamps_ms.append(timestamp)
            columns.values.append(nan if is_nan else value)
        yield from _all_of(current, series)

    def counts(self) -> dict[str, int]:
        """Count in the database itself what the experiments read have."""
        runs = self._database.table("runs")
        chosen = runs.c.experiment_id.in_([int(number) for number in self._chosen])
        found = {"runs": self._count(select(func.count()).select_from(runs).where(chosen))}
        for what, name in (("params", "params"), ("tags", "tags"), ("metric points", "metrics")):
            of = self._database.table(name)
            joined = of.join(runs, of.c.run_uuid == runs.c.run_uuid)
            found[what] = self._count(select(func.count()).select_from(joined).where(chosen))
        if "logged_models" in self._database.tables:
            of = self._database.table("logged_models")
            where = of.c.experiment_id.in_([int(number) for number in self._chosen])
            found["logged models"] = self._count(select(func.count()).select_from(of).where(where))
        return found

    def _count(self, query: Select[Any]) -> int:
        return int(next(self._database.rows(query))[0])

    # --- the rest ------------------------------------------------------------------------------

    def models(self) -> list[SourceModel]:
        """Read the registry."""
        return read_models(self._database, self._roots, self._bases, self._artifacts)

    def notes(self) -> list[Note]:
        """Say what is there that an import cannot take."""
        for root, count in self._missing.items():
            why = (
                f"their files lay below {root}, which is not on this machine; if there were any, "
                "say where they are now with --artifacts FOLDER"
            )
            self._note("runs without a folder of files", count, why)
        self._notes += tables_left(self._database)
        return self._notes

    def _note(self, what: str, count: int, why: str) -> None:
        if count:
            self._notes.append(Note(what, count, why))


def _all_of(run_id: str, series: dict[str, _Columns]) -> Iterator[Series]:
    for key, columns in series.items():
        yield ordered(run_id, key, *columns)


def _is_gone(uri: str) -> bool:
    """Whether an address means a folder of this machine that is not there."""
    return is_local(uri) and local_path(uri).is_absolute() and not local_path(uri).is_dir()
