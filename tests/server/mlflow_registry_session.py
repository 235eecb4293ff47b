"""A session of a real MLflow client with the registry; prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import sklearn.linear_model
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

NAME = "taxifare_model"
#: MLflow 1 has stages, but no aliases and no copies.
HAS_ALIASES = hasattr(MlflowClient, "set_registered_model_alias")


def refused(call: object, *arguments: object, **named: object) -> list[str]:
    """Call what must be refused; tell the code and the text."""
    try:
        call(*arguments, **named)  # type: ignore[operator]
    except mlflow.exceptions.MlflowException as error:
        return [error.error_code, str(error)]
    return ["nothing", ""]


def log_model(slope: float, folder: Path) -> str:
    """Log a model as files of a run, as every version of MLflow does it; return the run's id."""
    model = sklearn.linear_model.LinearRegression().fit([[0.0], [1.0]], [0.0, slope])
    saved = folder / f"model {slope}"
    mlflow.sklearn.save_model(model, saved)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(saved, "model")
    return str(run.info.run_id)


def listed(client: MlflowClient) -> list[str] | None:
    """List the models as clients before MLflow 2 can."""
    if not hasattr(client, "list_registered_models"):
        return None
    return [each.name for each in client.list_registered_models()]


def main() -> None:
    """Register, move, name, search, load and delete."""
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("wagoncab taxifare")
    client = MlflowClient()
    with TemporaryDirectory() as folder:
        runs = [log_model(slope, Path(folder)) for slope in (2.0, 3.0)]
    for run_id in runs:
        mlflow.register_model(f"runs:/{run_id}/model", NAME)
    client.update_registered_model(NAME, "fares of New York")
    client.set_registered_model_tag(NAME, "team", "fares")
    client.transition_model_version_stage(NAME, "1", "production")
    client.transition_model_version_stage(NAME, "2", "Production", archive_existing_versions=True)
    if HAS_ALIASES:
        client.set_registered_model_alias(NAME, "best", "2")
    client.set_model_version_tag(NAME, "2", "checked", "yes")
    client.update_model_version(NAME, "2", "better at night")
    second = client.get_model_version(NAME, "2")
    model = client.get_registered_model(NAME)
    # A file that changes in the run later is not the version's.
    client.log_text(runs[1], "changed", "model/MLmodel")
    seen = {
        "runs": runs,
        "description": [model.description, second.description],
        "tags": [model.tags, second.tags],
        "stages": {v.version: v.current_stage for v in client.search_model_versions("")},
        "run": second.run_id,
        "latest": [v.version for v in client.get_latest_versions(NAME, ["Production"])],
        "predicted": [
            round(float(mlflow.sklearn.load_model(address).predict([[10.0]])[0]), 6)
            for address in (
                f"models:/{NAME}/1",
                f"models:/{NAME}/Production",
            )
        ],
        "pyfunc": round(
            float(mlflow.pyfunc.load_model(f"models:/{NAME}/2").predict([[10.0]])[0]), 6
        ),
        "file": Path(download_artifacts(f"models:/{NAME}/2/MLmodel")).read_text()[:14],
        "found": [m.name for m in client.search_registered_models("name LIKE 'taxi%'")],
        "listed": listed(client),
        "by run": [v.version for v in client.search_model_versions(f"run_id = '{runs[0]}'")],
    }
    if HAS_ALIASES:
        seen["alias"] = client.get_model_version_by_alias(NAME, "best").version
        best = mlflow.sklearn.load_model(f"models:/{NAME}@best")
        seen["best"] = round(float(best.predict([[10.0]])[0]), 6)
        seen["no alias"] = refused(client.get_model_version_by_alias, NAME, "none")
        client.delete_registered_model_alias(NAME, "best")
    if mlflow.__version__ < "3":  # Its log_model is the tags' and the registry's.
        model = sklearn.linear_model.LinearRegression().fit([[0.0], [1.0]], [0.0, 4.0])
        with mlflow.start_run() as run:
            mlflow.sklearn.log_model(model, "model", registered_model_name="by_log_model")
            mlflow.sklearn.log_model(model, "second")
        history = client.get_run(run.info.run_id).data.tags["mlflow.log-model.history"]
        loaded = mlflow.sklearn.load_model("models:/by_log_model/1")
        seen["log_model"] = [
            [each["artifact_path"] for each in json.loads(history)],
            round(float(loaded.predict([[10.0]])[0]), 6),
        ]
        client.delete_registered_model("by_log_model")
    seen["name taken"] = refused(client.create_registered_model, NAME)
    seen["no model"] = refused(client.get_registered_model, "nobody")
    seen["own place"] = refused(client.create_model_version, NAME, "file:///etc", run_id=runs[0])
    seen["wrong stage"] = refused(client.transition_model_version_stage, NAME, "1", "Best")
    client.delete_model_version(NAME, "2")
    if hasattr(client, "copy_model_version"):
        copied = client.copy_model_version(f"models:/{NAME}/1", "another_model")
        seen["copied"] = [copied.name, copied.version]
    again = mlflow.register_model(f"runs:/{runs[0]}/model", NAME)
    seen["number after a deletion"] = again.version
    client.rename_registered_model(NAME, "fares")
    seen["renamed"] = sorted(v.version for v in client.search_model_versions("name = 'fares'"))
    client.delete_registered_model("fares")
    seen["left"] = [m.name for m in client.search_registered_models()]
    print(json.dumps(seen, default=str))


if __name__ == "__main__":
    main()
