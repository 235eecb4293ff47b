"""A small MLflow store of the taxi-fare story, written by hand in the layout of its folders."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BEGAN_MS", "Mlruns", "fingerprint", "taxi_fares"]

BEGAN_MS = 1_675_000_000_000
FINISHED, RUNNING, FAILED, SCHEDULED = 3, 1, 4, 2


class Mlruns:
    """Writes folders and files as MLflow's file store does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def meta(self, folder: Path, **fields: Any) -> Path:  # noqa: ANN401 - what YAML can say
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(fields, allow_unicode=True)
        (folder / "meta.yaml").write_text(text, encoding="utf-8")
        return folder

    def texts(self, folder: Path, texts: dict[str, str]) -> None:
        for key, text in texts.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())

    def experiment(
        self, number: str, name: str, *, stage: str = "active", tags: dict[str, str] | None = None
    ) -> Path:
        root = self.root / ".trash" if stage == "deleted" else self.root
        folder = self.meta(
            root / number,
            artifact_location=f"file://{self.root / number}",
            creation_time=BEGAN_MS,
            experiment_id=number,
            last_update_time=BEGAN_MS + 7,
            lifecycle_stage=stage,
            name=name,
        )
        self.texts(folder / "tags", tags or {})
        return folder

    def run(  # noqa: PLR0913 - what a run has
        self,
        experiment: Path,
        run_id: str,
        *,
        name: str = "",
        status: int = FINISHED,
        stage: str = "active",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        metrics: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> Path:
        folder = self.meta(
            experiment / run_id,
            artifact_uri=f"file://{experiment / run_id / 'artifacts'}",
            end_time=BEGAN_MS + 60_000 if status != RUNNING else None,
            entry_point_name="",
            experiment_id=experiment.name,
            lifecycle_stage=stage,
            run_id=run_id,
            run_name=name,
            source_name="",
            source_type=4,
            start_time=BEGAN_MS,
            status=status,
            tags=[],
            user_id="ada",
        )
        self.texts(folder / "params", params or {})
        self.texts(folder / "tags", {"mlflow.runName": name, **(tags or {})})
        self.texts(folder / "metrics", metrics or {})
        self.texts(folder / "artifacts", files or {})
        return folder

    def logged_model(  # noqa: PLR0913 - what a logged model has
        self,
        experiment: Path,
        model_id: str,
        *,
        name: str = "fare",
        run_id: str | None = None,
        status: str = "READY",
        stage: str = "active",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        metrics: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> Path:
        folder = experiment / "models" / model_id
        self.meta(
            folder,
            artifact_location=f"file://{folder / 'artifacts'}",
            creation_timestamp=BEGAN_MS + 11,
            experiment_id=experiment.name,
            last_updated_timestamp=BEGAN_MS + 12,
            lifecycle_stage=stage,
            model_id=model_id,
            model_type="regressor",
            name=name,
            source_run_id=run_id,
            status=status,
            status_message=None,
        )
        self.texts(folder / "params", params or {})
        self.texts(folder / "tags", tags or {})
        self.texts(folder / "metrics", metrics or {})
        self.texts(folder / "artifacts", files or {})
        return folder

    def used(self, run: Path, model_id: str, *, step: int | None = None) -> None:
        """Let a run have read a logged model; with a step: have made it."""
        read = step is None
        self.meta(
            run / ("inputs" if read else "outputs") / model_id,
            destination_id=run.name,
            destination_type="RUN" if read else "MODEL_OUTPUT",
            source_id=model_id,
            source_type="MODEL" if read else "RUN_OUTPUT",
            tags={},
            **({} if read else {"step": step}),
        )

    def version(self, name: str, number: int, run: Path, *, stage: str = "None") -> Path:
        gone = stage == "Deleted_Internal"
        location = f"file://{run / 'artifacts' / 'model'}"
        return self.meta(
            self.root / "models" / name / f"version-{number}",
            creation_timestamp=BEGAN_MS + number,
            current_stage=stage,
            description=None if gone else f"number {number}",
            last_updated_timestamp=BEGAN_MS + 100 + number,
            name=name,
            run_id=run.name,
            source=location,
            status="READY",
            storage_location=location,
            user_id="ada",
            version=number,
        )


def taxi_fares(root: Path) -> Mlruns:
    """Write a store with one of everything; run ids are ``a`` to ``f``, 32 times."""
    store = Mlruns(root)
    store.experiment("0", "Default")
    fares = store.experiment("1", "táxi fares ☂", tags={"team": "cabs", "note": "two\nlines"})
    best = store.run(
        fares,
        "a" * 32,
        name="párent",
        params={"model": "gbm", "depth": "7", "lines": "one\r\ntwo", "empty": ""},
        tags={"night/shift": "yes", "多": "ключ", "mlflow.note.content": "*good*"},
        metrics={
            "rmse": "1675000000000 3.5 0\n1675000000001 3.25 5\n1675000000002 3.0 2\n",
            "odd": "1 nan 0\n2 inf 1\n3 -inf 2\n4 1.5 3\n",
            "again": "1675000000000 0.1 1\n1675000000000 0.1 1\n",
            "before/zero": "5 1e-300 -3\n",
            "old": "1675000000000 0.5\n",
        },
        files={"model/MLmodel": "flavors: {}\n", "model/model.bin": "bytes", "wörds.txt": "☃"},
    )
    store.meta(
        fares / "datasets" / "d1",
        digest="f7d6f1a7",
        name="green",
        profile='{"num_rows": 4, "num_elements": 12}',
        schema='{"mlflow_colspec": [{"type": "double", "name": "distance", "required": true}]}',
        source='{"uri": "/data/green 2022.csv"}',
        source_type="local",
    )
    store.meta(
        best / "inputs" / "i1",
        destination_id=best.name,
        destination_type="RUN",
        source_id="d1",
        source_type="DATASET",
        tags={"mlflow.data.context": "training", "part": "first"},
    )
    store.run(fares, "b" * 32, name="child", tags={"mlflow.parentRunId": best.name}, status=FAILED)
    store.run(fares, "c" * 32, name="deleted", stage="deleted", metrics={"rmse": "9 8.5 0\n"})
    store.run(fares, "d" * 32, name="going on", status=RUNNING, metrics={"rmse": "9 7.5 0\n"})
    store.run(fares, "e" * 32, name="to come", status=SCHEDULED)
    gone = store.experiment("2", "gone", stage="deleted")
    store.run(gone, "f" * 32, name="in the trash", stage="deleted", params={"k": "v"})

    models = store.meta(
        store.root / "models" / "fare",
        creation_timestamp=BEGAN_MS,
        description="what a ride costs",
        last_updated_timestamp=BEGAN_MS + 500,
        name="fare",
    )
    store.texts(models / "tags", {"owner": "cabs"})
    store.texts(models / "aliases", {"best": "3"})
    first = store.version("fare", 1, best, stage="Archived")
    store.texts(first / "tags", {"validated": "yes"})
    store.version("fare", 2, best, stage="Deleted_Internal")
    store.version("fare", 3, best, stage="Production")
    store.version("fare", 4, best, stage="Deleted_Internal")
    return store


def fingerprint(root: Path) -> dict[str, tuple[str, int]]:
    """Tell every file of a folder by its content and the time it was written."""
    return {
        str(path.relative_to(root)): (
            sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
