"""A session of a real MLflow client; run by the Python that has it, prints what it saw as JSON."""

from __future__ import annotations

import json
import math
import sys
from inspect import signature

import mlflow
from mlflow import MlflowClient

try:  # The skinny package has no pandas, and MLflow 1 no datasets.
    import pandas as pd

    TRIPS = mlflow.data.from_pandas(pd.DataFrame({"miles": [1.5, 2.5]}), name="trips")
except (ImportError, AttributeError):
    TRIPS = None
#: Old clients wait for every answer.
IS_ASYNC = "synchronous" in signature(mlflow.log_metric).parameters


def refused(call: object, *arguments: object) -> list[str]:
    """Call what must be refused; tell the code and the text."""
    try:
        call(*arguments)  # type: ignore[operator]
    except mlflow.exceptions.MlflowException as error:
        return [error.error_code, str(error)]
    return ["nothing", ""]


def track() -> tuple[MlflowClient, str, dict[str, object]]:
    """Track, read, search, and be refused; return the run and what was seen."""
    mlflow.set_experiment("wagoncab taxifare")
    with mlflow.start_run(run_name="first", tags={"city": "New York"}) as run:
        mlflow.log_param("model", "gbm")
        mlflow.log_params({"trees": 300, "lr": 0.1})
        for step in range(20):
            mlflow.log_metric("rmse", 4 + 1 / (step + 1), step=step)
        mlflow.log_metrics({"mae": 3.0, "nan": math.nan, "inf": math.inf})
        mlflow.set_tags({"kept": "yes", "gone": "yes"})
        mlflow.delete_tag("gone")
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": 1}, "d.json")
        if IS_ASYNC:
            mlflow.log_metric("async", 1.0, synchronous=False).wait()
            getattr(mlflow, "flush_async_logging", int)()  # Not in the first that logs so.
        else:
            mlflow.log_metric("async", 1.0)
        if TRIPS:
            mlflow.log_input(TRIPS, "training")
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("rmse", 5.0)
    client = MlflowClient()
    run_id = run.info.run_id
    found = client.get_run(run_id)
    history = client.get_metric_history(run_id, "rmse")
    seen = {
        "run_id": run_id,
        "status": found.info.status,
        "name": found.info.run_name,
        "params": found.data.params,
        "metrics": {key: str(value) for key, value in found.data.metrics.items()},
        "tags": {key: found.data.tags.get(key) for key in ("city", "kept", "gone")},
        "history": [[point.step, point.value] for point in history],
        "files": [file.path for file in client.list_artifacts(run_id)],
        "below": [[file.path, file.file_size] for file in client.list_artifacts(run_id, "notes")],
        "text": mlflow.artifacts.load_text(f"{found.info.artifact_uri}/notes/hello.txt"),
        "parent": client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"],
    }
    if TRIPS:
        read = found.inputs.dataset_inputs[0]
        seen["dataset"] = [read.dataset.name, read.dataset.digest, read.tags[0].value]
        seen["digest"] = TRIPS.digest
        seen["frame"] = list(mlflow.search_runs()["run_id"]) == [child.info.run_id, run_id]
    searched = mlflow.search_runs(
        filter_string="metrics.mae < 4 and params.model = 'gbm'", order_by=["metrics.mae DESC"],
        output_format="list",
    )  # fmt: skip
    seen["searched"] = [each.info.run_id for each in searched]
    newest = mlflow.search_runs(output_format="list")
    seen["newest first"] = [each.info.run_id for each in newest] == [child.info.run_id, run_id]
    seen["experiments"] = sorted(each.name for each in mlflow.search_experiments())
    seen["listed"] = None
    if hasattr(client, "list_experiments"):  # Before MLflow 2.
        seen["listed"] = sorted(each.name for each in client.list_experiments())
    seen["changed param"] = refused(client.log_param, run_id, "model", "net")
    seen["no run"] = refused(client.get_run, "0" * 32)
    seen["name taken"] = refused(client.create_experiment, "wagoncab taxifare")
    seen["own place"] = refused(client.create_experiment, "mine", "file:///etc")
    return client, run_id, seen


def delete_and_restore(client: MlflowClient, run_id: str) -> dict[str, object]:
    """Delete and restore a run and its experiment."""
    experiment_id = client.get_run(run_id).info.experiment_id
    seen: dict[str, object] = {}
    client.delete_run(run_id)
    seen["logged to deleted"] = refused(client.log_metric, run_id, "rmse", 1.0)
    seen["deleted"] = [
        each.info.run_id for each in client.search_runs([experiment_id], run_view_type=2)
    ]
    client.restore_run(run_id)
    client.rename_experiment(experiment_id, "taxi fares")
    client.set_experiment_tag(experiment_id, "team", "fares")
    renamed = client.get_experiment(experiment_id)
    seen["renamed"] = [renamed.name, renamed.tags["team"]]
    client.delete_experiment(experiment_id)
    seen["gone"] = client.get_experiment(experiment_id).lifecycle_stage
    client.restore_experiment(experiment_id)
    pages = 0
    token = None
    while pages == 0 or token:
        page = client.search_runs([experiment_id], max_results=1, page_token=token)
        token, pages = page.token, pages + 1
    seen["pages"] = pages
    return seen


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    client, run_id, saw = track()
    print(json.dumps(saw | delete_and_restore(client, run_id)))
