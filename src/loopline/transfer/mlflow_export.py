"""Writing an MLflow database: an SQLite file that MLflow opens, and a folder of files beside it."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, insert

from loopline.errors import AlreadyExistsError, InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.transfer import Exported
from loopline.rules.names import check_artifact_path
from loopline.transfer import mlflow_rows as rows
from loopline.transfer.mlflow_schema import MLFLOW_2, MLFLOW_3, USES, create_tables, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Artifact
    from loopline.records.transfer import LoggedModelDescription, RunDescription
    from loopline.transfer.selection import ModelSelection, Selection

__all__ = ["write_mlflow_database"]

#: Rows inserted together.
TOGETHER = 10_000


def write_mlflow_database(
    selection: Selection,
    backend: Backend,
    database: Path,
    *,
    artifacts: bool = True,
    watch: Callable[[str], None] | None = None,
) -> Exported:
    """Write what was selected into a new SQLite file in MLflow's schema.

    That of MLflow 2.22, which later ones migrate; when there are logged models, that of 3.0.

    Args:
        selection: What to write.
        backend: Where its files are.
        database: Appears when everything in it has reached the disk. Its files lie beside it, in
            a folder of its name with ``-artifacts`` behind, under absolute paths.
        artifacts: Whether files are written.
        watch: Told of each run's id.

    Raises:
        AlreadyExistsError: The file or the folder is there already.
    """
    database = database.absolute()
    files = database.with_name(f"{database.stem}-artifacts")
    for path in (database, files):
        if path.exists():
            msg = f"{path} is there already. Give another path, or remove it first."
            raise AlreadyExistsError(msg)
    database.parent.mkdir(parents=True, exist_ok=True)
    partial = database.with_name(f".{database.name}-{uuid.uuid4().hex}")
    try:
        exported = _Writer(backend, database, files if artifacts else None, watch).write(
            selection, partial
        )
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(database)
    except BaseException:
        partial.unlink(missing_ok=True)
        shutil.rmtree(files, ignore_errors=True)
        raise
    return exported


class _Writer:
    def __init__(
        self,
        backend: Backend,
        database: Path,
        files: Path | None,
        watch: Callable[[str], None] | None,
    ) -> None:
        self._backend = backend
        self._database = database
        self._files = files
        self._root = database.with_name(f"{database.stem}-artifacts")
        self._watch = watch or (lambda _run_id: None)
        self._counts: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._datasets: dict[tuple[str, str, str], str] = {}
        #: Files and their folder per run, to know a version's folder again.
        self._of_runs: dict[str, dict[str, Artifact]] = {}
        self._homes: dict[str, Path] = {}
        #: Files and their folder per logged model; so.
        self._of_models: dict[str, dict[str, str]] = {}
        self._homes_of_models: dict[str, Path] = {}
        self._schema = MLFLOW_2

    def write(self, selection: Selection, path: Path) -> Exported:
        engine = create_engine(f"sqlite:///{path}")
        self._schema = MLFLOW_2 if next(selection.logged_models(), None) is None else MLFLOW_3
        try:
            with engine.begin() as connection:
                create_tables(connection, self._schema)
                version = {"version_num": self._schema.revision}
                self._put(connection, "alembic_version", [version])
                self._experiments(connection, selection)
                for known in selection.runs():
                    self._run(connection, selection, known)
                    self._watch(known.run.run_id)
                if self._schema is MLFLOW_3:
                    for logged in selection.logged_models():
                        self._logged_model(connection, logged)
                for chosen in selection.models(set(self._of_runs), set(self._of_models)):
                    self._model(connection, chosen)
        finally:
            engine.dispose()
        return Exported(
            mlflow_version=self._schema.mlflow_version,
            database=str(self._database),
            files=str(self._files) if self._files is not None and self._files.exists() else "",
            counts={what: count for what, count in self._counts.items() if count},
            left_out=self._left_out,
        )

    def _put(self, connection: Connection, name: str, values: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(values), TOGETHER):
            connection.execute(insert(tables[name]), values[start : start + TOGETHER])
        self._counts[name] = self._counts.get(name, 0) + len(values)

    def _leave_out(self, what: str, count: int = 1) -> None:
        if count:
            self._left_out[what] = self._left_out.get(what, 0) + count

    # --- experiments and runs ------------------------------------------------------------------

    def _experiments(self, connection: Connection, selection: Selection) -> None:
        for experiment in selection.experiments():
            number = int(experiment.experiment_id)
            row = rows.experiment_row(experiment, str(self._root / experiment.experiment_id))
            self._put(connection, "experiments", [row])
            self._put(
                connection,
                "experiment_tags",
                [
                    {"key": key, "value": value, "experiment_id": number}
                    for key, value in experiment.tags.items()
                ],
            )

    def _run(self, connection: Connection, selection: Selection, known: RunDescription) -> None:
        run = known.run
        home = self._root / run.experiment_id / run.run_id / "artifacts"
        self._put(connection, "runs", [rows.run_row(run, str(home))])
        for name, texts in (("params", run.params), ("tags", rows.tags_of(run))):
            self._put(
                connection,
                name,
                [{"key": k, "value": v, "run_uuid": run.run_id} for k, v in texts.items()],
            )
        for key, summary in run.metrics.items():
            points = selection.points(run, key)
            self._put(
                connection,
                "metrics",
                [
                    rows.point_row(run.run_id, key, step, timestamp_ms, value)
                    for step, timestamp_ms, value in points.rows()
                ],
            )
            latest = rows.point_row(
                run.run_id, key, summary.step, summary.timestamp_ms, summary.value
            )
            self._put(connection, "latest_metrics", [latest])
        infinite = sum(
            math.isinf(value)
            for summary in run.metrics.values()
            for value in (summary.min, summary.max)
        )
        if infinite:
            self._leave_out("metrics with infinities, for which MLflow's databases hold ±1.797e308")
        self._inputs(connection, known)
        self._homes[run.run_id] = home
        self._of_runs[run.run_id] = {file.path: file for file in known.artifacts}
        for file in known.artifacts:
            self._copy(file, home)
        if run.flow_run_id and run.lifecycle == Lifecycle.ACTIVE:
            self._leave_out("links of runs to the flow runs they were part of")

    def _inputs(self, connection: Connection, known: RunDescription) -> None:
        run = known.run
        linked: set[str] = set()
        for item in known.inputs:
            key = (run.experiment_id, item.dataset.name, item.dataset.digest)
            dataset_id = self._datasets.get(key)
            if dataset_id is None:
                dataset_id = self._datasets[key] = uuid.uuid4().hex
                row = rows.dataset_row(item.dataset, dataset_id, int(run.experiment_id))
                self._put(connection, "datasets", [row])
            if dataset_id in linked:
                self._leave_out("second contexts in which a run read the same data version")
                continue
            linked.add(dataset_id)
            input_id = uuid.uuid4().hex
            self._put(connection, "inputs", [rows.input_row(input_id, dataset_id, run.run_id)])
            said = {rows.CONTEXT: item.context} if item.context else {}
            tags = [
                {"input_uuid": input_id, "name": name, "value": value}
                for name, value in (said | item.tags).items()
            ]
            if tags:
                self._put(connection, "input_tags", tags)
        uses = [rows.use_row(uuid.uuid4().hex, run.run_id, use) for use in known.models]
        if self._schema is MLFLOW_3:
            if uses:
                connection.execute(insert(USES), uses)
            self._counts["inputs"] = self._counts.get("inputs", 0) + len(uses)
        else:
            self._leave_out("links of runs to logged models that are not exported", len(uses))

    # --- logged models -------------------------------------------------------------------------

    def _logged_model(self, connection: Connection, logged: LoggedModelDescription) -> None:
        model = logged.model
        home = self._root / model.experiment_id / "models" / model.model_id / "artifacts"
        self._put(connection, "logged_models", [rows.logged_model_row(model, str(home))])
        place = {"model_id": model.model_id, "experiment_id": int(model.experiment_id)}
        for kind, texts in (("param", model.params), ("tag", model.tags)):
            self._put(
                connection,
                f"logged_model_{kind}s",
                [
                    {**place, f"{kind}_key": key, f"{kind}_value": value}
                    for key, value in texts.items()
                ],
            )
        points: dict[tuple[object, ...], dict[str, Any]] = {}
        for point in model.metrics:
            if point.run_id not in self._of_runs:
                self._leave_out("points of logged models by runs that are not exported")
                continue
            key = (point.key, point.timestamp_ms, point.step, point.run_id)
            if key in points:
                self._leave_out("second data versions on which a model was measured at a moment")
                continue
            points[key] = rows.logged_model_point_row(model, point)
        self._put(connection, "logged_model_metrics", list(points.values()))
        self._homes_of_models[model.model_id] = home
        self._of_models[model.model_id] = {file.path: file.sha256 for file in logged.files}
        for file in logged.files:
            self._copy(file, home)

    # --- registry ------------------------------------------------------------------------------

    def _model(self, connection: Connection, chosen: ModelSelection) -> None:
        model = chosen.model
        self._put(connection, "registered_models", [rows.model_row(model)])
        self._put(
            connection,
            "registered_model_tags",
            [{"key": key, "value": value, "name": model.name} for key, value in model.tags.items()],
        )
        numbers = {one.version.version for one in chosen.versions}
        self._put(
            connection,
            "registered_model_aliases",
            [
                {"name": model.name, "alias": alias, "version": number}
                for alias, number in model.aliases.items()
                if number in numbers
            ],
        )
        for one in chosen.versions:
            version = one.version
            home = self._home_of(version.run_id, version.artifact_path, one.files)
            source = ""
            if home is None and self._is_logged_model(version.logged_model_id, one.files):
                home = self._homes_of_models[version.logged_model_id]
                source = f"models:/{version.logged_model_id}"
            if home is None:
                home = self._root / "models" / model.name / str(version.version)
                for file in one.files:
                    self._copy(file, home)
            row = rows.version_row(version, str(home), source or str(home))
            self._put(connection, "model_versions", [row])
            self._put(
                connection,
                "model_version_tags",
                [
                    {"key": key, "value": value, "name": model.name, "version": version.version}
                    for key, value in version.tags.items()
                ],
            )
        if model.latest_version and model.latest_version not in numbers:
            # MLflow counts from the versions there are: a deleted one keeps its number taken.
            row = rows.deleted_version_row(model, model.latest_version)
            self._put(connection, "model_versions", [row])

    def _home_of(self, run_id: str, folder: str, files: list[Artifact]) -> Path | None:
        """Find the folder of a run that is a version, file by file."""
        of_run = self._of_runs.get(run_id)
        if not folder or of_run is None:
            return None
        for file in files:
            same = of_run.get(f"{folder}/{file.path}")
            if same is None or same.sha256 != file.sha256:
                return None
        return self._homes[run_id] / folder

    def _is_logged_model(self, model_id: str, files: list[Artifact]) -> bool:
        """Whether a version is a logged model that was written, file by file."""
        return self._of_models.get(model_id) == {file.path: file.sha256 for file in files}

    # --- files ---------------------------------------------------------------------------------

    def _copy(self, file: Artifact, home: Path) -> None:
        if self._files is None:
            return
        target = home / check_artifact_path(file.path)
        if not target.resolve().is_relative_to(self._root.resolve()):
            msg = f"The path {file.path!r} leads out of {self._root}. It is not written."
            raise InvalidInputError(msg)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for chunk in self._backend.read_blob(file.sha256):
                out.write(chunk)
        self._counts["files"] = self._counts.get("files", 0) + 1
