"""Writes down as JSON what the real MLflow client shows of a store."""

# ruff: noqa: ANN401 - MLflow is not installed where types are checked.
from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pages(ask: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Ask page after page."""
    token = None
    while True:
        page = ask(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


def files_of(client: Any, run_id: str, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """List the files of a run."""
    for file in client.list_artifacts(run_id, folder):
        if file.is_dir:
            yield from files_of(client, run_id, file.path)
        else:
            yield file.path, file.file_size or 0  # A server leaves zeros out.


def run_of(client: Any, run: Any, experiment: str) -> dict[str, Any]:
    """Write down a run."""
    run = client.get_run(run.info.run_id)  # A search does not tell which models a run read.
    info, data = run.info, run.data
    return {
        "experiment": experiment,
        "name": info.run_name,
        "status": info.status,
        "lifecycle": info.lifecycle_stage,
        "start": info.start_time,
        "end": info.end_time,
        "user": info.user_id,
        "params": data.params,
        "tags": data.tags,
        "metrics": {key: repr(value) for key, value in data.metrics.items()},
        "histories": {
            key: sorted(
                {
                    (point.step, point.timestamp, repr(point.value))
                    for point in client.get_metric_history(info.run_id, key)
                }
            )
            for key in data.metrics
        },
        "inputs": sorted(
            (
                one.dataset.name,
                one.dataset.digest,
                one.dataset.source_type,
                one.dataset.source,
                one.dataset.schema,
                one.dataset.profile,
                next((tag.value for tag in one.tags if tag.key == "mlflow.data.context"), ""),
            )
            for one in run.inputs.dataset_inputs
        ),
        "models": outputs_of(run),
        "files": sorted(files_of(client, info.run_id)),
    }


def outputs_of(run: Any) -> list[tuple[str, str, int]]:
    """Write down the logged models that a run read and made."""
    read = getattr(run.inputs, "model_inputs", None) or []
    made = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
    return sorted(
        [*(("input", one.model_id, 0) for one in read)]
        + [("output", one.model_id, one.step) for one in made]
    )


def logged_models_of(client: Any, mlflow: Any, experiments: dict[str, str]) -> dict[str, Any]:
    """Write down the logged models, of MLflow 3, with the last point measured on each data."""
    if mlflow.__version__ < "3":
        return {}
    found = {}
    for each in experiments:
        for model in pages(client.search_logged_models, experiment_ids=[each], max_results=50):
            points: dict[tuple[str, str, str], Any] = {}
            for point in model.metrics or []:
                key = (point.key, point.dataset_name or "", point.dataset_digest or "")
                last = (point.step, point.timestamp, repr(point.value), point.run_id)
                points[key] = max(last, points.get(key, last))
            artifacts = client.list_logged_model_artifacts
            waiting, files = [None], []
            while waiting:
                for file in artifacts(model.model_id, waiting.pop()):
                    if file.is_dir:
                        waiting.append(file.path)
                    else:
                        files.append((file.path, file.file_size or 0))
            found[model.model_id] = {
                "experiment": experiments[model.experiment_id],
                "name": model.name,
                "type": model.model_type or "",
                "status": str(model.status),
                "source run": model.source_run_id or "",
                "created": model.creation_timestamp,
                "updated": model.last_updated_timestamp,
                "params": model.params,
                "tags": {k: v for k, v in model.tags.items() if k != "mlflow.modelVersions"},
                "points": sorted([*key, *last] for key, last in points.items()),
                "files": sorted(files),
            }
    return found


def model_of(mlflow: Any, client: Any, model: Any) -> dict[str, Any]:
    """Write down a registered model, and the files that loading a version would fetch."""
    versions = {}
    for version in client.search_model_versions(f"name='{model.name}'"):
        folder = Path(
            mlflow.artifacts.download_artifacts(f"models:/{model.name}/{version.version}")
        )
        versions[str(version.version)] = {
            "stage": version.current_stage,
            "description": version.description or "",
            "run": version.run_id,
            "tags": version.tags,
            "created": version.creation_timestamp,
            "updated": version.last_updated_timestamp,
            "files": sorted(
                (path.relative_to(folder).as_posix(), path.stat().st_size)
                for path in folder.rglob("*")
                # The client writes this one beside what it fetched.
                if path.is_file() and path.name != "registered_model_meta"
            ),
        }
    return {
        "description": model.description or "",
        "tags": dict(model.tags),
        "aliases": {alias: str(number) for alias, number in model.aliases.items()},
        "created": model.creation_timestamp,
        "updated": model.last_updated_timestamp,
        "versions": versions,
    }


def main(uri: str, target: str) -> None:
    """Write down a store."""
    mlflow = importlib.import_module("mlflow")
    view = importlib.import_module("mlflow.entities").ViewType.ALL
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiments = list(pages(client.search_experiments, view_type=view, max_results=1000))
    names = {experiment.experiment_id: experiment.name for experiment in experiments}
    runs = pages(
        client.search_runs, experiment_ids=list(names), run_view_type=view, max_results=1000
    )
    found = {
        "experiments": {
            experiment.name: {
                "lifecycle": experiment.lifecycle_stage,
                "tags": experiment.tags,
                "created": experiment.creation_time,
                "updated": experiment.last_update_time,
            }
            for experiment in experiments
        },
        "runs": {
            run.info.run_id: run_of(client, run, names[run.info.experiment_id]) for run in runs
        },
        "logged models": logged_models_of(client, mlflow, names),
        "models": {
            model.name: model_of(mlflow, client, model)
            for model in pages(client.search_registered_models, max_results=100)
        },
    }
    Path(target).write_text(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
