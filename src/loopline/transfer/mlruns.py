"""An ``mlruns`` folder as a source: MLflow's file store, of every version that wrote one."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.logged_models import LoggedModel, LoggedModelPoint, ModelRole, RunModel
from loopline.transfer.mlflow_facts import (
    PARENT,
    dataset_input,
    lifecycle_of,
    logged_model_status,
    status_of,
)
from loopline.transfer.mlruns_files import (
    folders_in,
    model_points_of_file,
    points_of_file,
    read_meta,
    texts_below,
)
from loopline.transfer.mlruns_registry import read_models
from loopline.transfer.places import Folder, is_local, local_path, place_of
from loopline.transfer.source import Note, SourceExperiment, SourceLoggedModel, SourceRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.tracking import RunInput
    from loopline.transfer.source import Place, Series, SourceModel

__all__ = ["MlrunsSource", "find_mlruns"]

TRASH = ".trash"
#: Folders of an experiment that are no runs.
BESIDE_RUNS = {"tags", "datasets", "models", "traces"}


def find_mlruns(folder: Path) -> Path | None:
    """Find the file store that a folder is or has in it; None when there is none."""
    for root in (folder, folder / "mlruns"):
        candidates = [*folders_in(root), *folders_in(root / TRASH)]
        if any((path / "meta.yaml").is_file() for path in candidates):
            return root
        if any((path / "meta.yaml").is_file() for path in folders_in(root / "models")):
            return root
    return None


class MlrunsSource:
    """A folder in the layout of MLflow's file store.

    Files are looked for where the store says they lie; a store that was moved or copied says a
    path that is gone, and then the folder inside it counts.
    """

    def __init__(self, root: Path, *, artifacts: Path | None = None) -> None:
        """Use a folder.

        Args:
            root: With a folder per experiment.
            artifacts: Folder that now holds what lay at the artifact root.
        """
        self._root = root.resolve()
        self._artifacts = artifacts
        self._notes: list[Note] = []
        self._roots: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._root)

    @property
    def identity(self) -> str:
        """Its path: a copy elsewhere is another source, of the same runs."""
        return f"mlruns\0{self._root}"

    def close(self) -> None:
        """Nothing is held."""

    # --- experiments ---------------------------------------------------------------------------

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Folder per experiment id."""
        found: dict[str, Path] = {}
        for folder in [*folders_in(self._root), *folders_in(self._root / TRASH)]:
            if folder.name not in {TRASH, "models"} and (folder / "meta.yaml").is_file():
                found[folder.name] = folder
        return found

    def experiments(self) -> list[SourceExperiment]:
        """Read every experiment, those in the trash too."""
        found = []
        for folder in self._folders.values():
            meta = self._meta(folder, "experiments")
            if meta is None:
                continue
            created_ms = int(meta.get("creation_time") or 0)
            found.append(
                SourceExperiment(
                    experiment_id=folder.name,
                    name=str(meta.get("name") or folder.name),
                    lifecycle=lifecycle_of(
                        "deleted" if folder.parent.name == TRASH else meta.get("lifecycle_stage")
                    ),
                    created_ms=created_ms,
                    updated_ms=int(meta.get("last_update_time") or created_ms),
                    tags=dict(texts_below(folder / "tags")),
                )
            )
        return found

    # --- runs ----------------------------------------------------------------------------------

    def count_runs(self, experiment: SourceExperiment) -> int:
        """Count the folders of runs."""
        return sum(1 for _ in self._run_folders(experiment))

    def _run_folders(self, experiment: SourceExperiment) -> Iterator[Path]:
        for folder in folders_in(self._folders[experiment.experiment_id]):
            if folder.name not in BESIDE_RUNS and (folder / "meta.yaml").is_file():
                yield folder

    def runs(self, experiment: SourceExperiment, together: int) -> Iterator[list[SourceRun]]:
        """Read the runs of an experiment."""
        folder = self._folders[experiment.experiment_id]
        datasets = {
            path.name: meta
            for path in folders_in(folder / "datasets")
            if (meta := self._meta(path, "datasets")) is not None
        }
        self._count_traces(folder)
        runs = (
            run
            for path in self._run_folders(experiment)
            if (run := self._run(path, experiment, datasets)) is not None
        )
        while some := list(islice(runs, together)):
            yield some

    def _run(
        self,
        folder: Path,
        experiment: SourceExperiment,
        datasets: dict[str, dict[str, Any]],
    ) -> SourceRun | None:
        meta = self._meta(folder, "runs")
        if meta is None:
            return None
        run_id = str(meta.get("run_id") or meta.get("run_uuid") or folder.name)
        tags = dict(texts_below(folder / "tags"))
        uri = str(meta.get("artifact_uri") or "")
        self._roots[run_id] = uri
        start_ms, end_ms = meta.get("start_time"), meta.get("end_time")
        return SourceRun(
            run_id=run_id,
            experiment_id=experiment.experiment_id,
            name=str(meta.get("run_name") or meta.get("name") or tags.get("mlflow.runName", "")),
            status=status_of(meta.get("status")),
            lifecycle=lifecycle_of(meta.get("lifecycle_stage")),
            start_ms=None if start_ms is None else int(start_ms),
            end_ms=None if end_ms is None else int(end_ms),
            user=str(meta.get("user_id") or ""),
            parent_run_id=tags.get(PARENT),
            params=dict(texts_below(folder / "params")),
            tags=tags,
            inputs=list(self._inputs(folder, datasets)),
            place=self._place(uri, folder / "artifacts"),
            models=list(self._used(folder)),
        )

    def _place(self, uri: str, inside: Path) -> Place:
        """Find files where the store says, or inside it when that is gone."""
        if uri and not is_local(uri):
            if self._artifacts is None and any(inside.rglob("*")):
                return Folder(inside)
            return place_of(uri, moved_to=self._artifacts)
        if uri and local_path(uri).is_dir():
            return Folder(local_path(uri))
        return Folder(inside)

    def _inputs(self, folder: Path, datasets: dict[str, dict[str, Any]]) -> Iterator[RunInput]:
        for path in folders_in(folder / "inputs"):
            meta = self._meta(path, "inputs")
            if meta is None:
                continue
            dataset = datasets.get(str(meta.get("source_id")))
            if meta.get("source_type") == "MODEL":
                continue
            if dataset is None:
                why = "what they say they read is not in the store"
                self._note("inputs", 1, why, is_missing=True)
                continue
            tags = {str(key): str(value) for key, value in (meta.get("tags") or {}).items()}
            words = {
                name: str(dataset.get(name) or "")
                for name in ("name", "digest", "source_type", "source", "schema", "profile")
            }
            yield dataset_input(words, tags)

    def _used(self, run: Path) -> Iterator[RunModel]:
        """Read which logged models a run read and made."""
        for name, role in (("inputs", ModelRole.INPUT), ("outputs", ModelRole.OUTPUT)):
            for path in folders_in(run / name):
                try:
                    meta = read_meta(path)
                except InvalidInputError as error:
                    if role == ModelRole.OUTPUT:  # Inputs that cannot be read are noted already.
                        self._note(name, 1, str(error), is_missing=True)
                    continue
                if role == ModelRole.OUTPUT or meta.get("source_type") == "MODEL":
                    step = int(meta.get("step") or 0)
                    yield RunModel(model_id=str(meta["source_id"]), role=role, step=step)

    def logged_models(
        self, experiment: SourceExperiment, together: int
    ) -> Iterator[list[SourceLoggedModel]]:
        """Read the logged models of an experiment."""
        folders = folders_in(self._folders[experiment.experiment_id] / "models")
        models = (
            model
            for folder in folders
            if (model := self._logged_model(folder, experiment.experiment_id)) is not None
        )
        while some := list(islice(models, together)):
            yield some

    def _logged_model(self, folder: Path, experiment_id: str) -> SourceLoggedModel | None:
        meta = self._meta(folder, "logged models")
        if meta is None:
            return None
        model_id = str(meta.get("model_id") or folder.name)
        points: list[LoggedModelPoint] = []
        unreadable = 0
        for path in sorted((folder / "metrics").rglob("*")):
            if path.is_file():
                key = path.relative_to(folder / "metrics").as_posix()
                some, wrong = model_points_of_file(path, model_id, key)
                points += some
                unreadable += wrong
        why = "such as are left by a process that was killed while it wrote"
        self._note("unreadable lines of metrics of logged models", unreadable, why)
        created_ms = int(meta.get("creation_timestamp") or 0)
        model = LoggedModel(
            model_id=model_id,
            experiment_id=experiment_id,
            name=str(meta.get("name") or "model"),
            model_type=str(meta.get("model_type") or ""),
            source_run_id=str(meta.get("source_run_id") or ""),
            status=logged_model_status(meta.get("status")),
            status_message=str(meta.get("status_message") or ""),
            lifecycle=lifecycle_of(meta.get("lifecycle_stage")),
            created_ms=created_ms,
            updated_ms=int(meta.get("last_updated_timestamp") or created_ms),
            params=dict(texts_below(folder / "params")),
            tags=dict(texts_below(folder / "tags")),
            metrics=points,
        )
        place = self._place(str(meta.get("artifact_location") or ""), folder / "artifacts")
        return SourceLoggedModel(model=model, place=place)

    def _count_traces(self, experiment: Path) -> None:
        count = len(list(folders_in(experiment / "traces")))
        self._note("traces", count, "Loopline keeps no traces")

    # --- metrics -------------------------------------------------------------------------------

    def series(self, runs: list[SourceRun]) -> Iterator[Series]:
        """Read every metric of some runs, a file each."""
        for run in runs:
            root = self._folders[run.experiment_id] / run.run_id / "metrics"
            for path in sorted(root.rglob("*")):
                if not path.is_file():
                    continue
                key = path.relative_to(root).as_posix()
                one, unreadable = points_of_file(path, run.run_id, key)
                if unreadable:
                    why = "such as are left by a process that was killed while it wrote"
                    self._note("unreadable lines of metrics", unreadable, why)
                if one is not None:
                    yield one

    # --- the rest ------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Nothing counts a folder but reading it."""
        return {}

    def models(self) -> list[SourceModel]:
        """Read the registry."""
        return read_models(self._root / "models", self._roots, self._artifacts, self._notes)

    def notes(self) -> list[Note]:
        """Say what is there that an import cannot take."""
        return self._notes

    def _meta(self, folder: Path, what: str) -> dict[str, Any] | None:
        """Read a folder's meta.yaml; one that cannot be read is noted, as MLflow skips it."""
        try:
            return read_meta(folder)
        except InvalidInputError as error:
            self._note(what, 1, str(error), is_missing=True)
            return None

    def _note(self, what: str, count: int, why: str, *, is_missing: bool = False) -> None:
        if count:
            self._notes.append(Note(what, count, why, is_missing))
