"""Makes a store with the real MLflow client, of version 2 or 3: run by a Python that has it."""

# ruff: noqa: ANN401 - MLflow is not installed where types are checked.
from __future__ import annotations

import importlib
import math
import sys
import warnings
from typing import Any

#: Start of the long series, Unix time in milliseconds.
BEGAN_MS = 1_700_000_000_000


def train() -> tuple[Any, Any, Any]:
    """Fit a model of a fare on a distance; give it with the table it was fitted on."""
    pandas = importlib.import_module("pandas")
    linear = importlib.import_module("sklearn.linear_model")
    table = pandas.DataFrame({"distance": [1.0, 2.0, 3.0], "minutes": [3.0, 5.0, 9.0]})
    fares = [4.0, 7.0, 11.0]
    return linear.LinearRegression().fit(table, fares), table, fares


def log_model(mlflow: Any, model: Any, name: str) -> None:
    """Log and register a model; MLflow need not find out what it needs, which takes seconds."""
    by_name = "name" if mlflow.__version__ >= "3" else "artifact_path"
    mlflow.sklearn.log_model(
        model,
        registered_model_name="fare",
        pip_requirements=["scikit-learn"],
        **{by_name: name},
    )


def log_best_run(mlflow: Any, client: Any, model: Any, table: Any, fares: Any) -> None:
    """Log a run with one of everything, and three nested in it."""
    with mlflow.start_run(run_name="párent ☃", description="the *best*") as run:
        run_id = run.info.run_id
        mlflow.log_params({"model": "gbm", "depth": 7, "lines": "a\nb", "多": "ü", "empty": ""})
        for step, value in ((0, 3.5), (5, 3.25), (2, 3.0)):
            mlflow.log_metric("rmse", value, step=step)
        for step, value in enumerate([math.nan, math.inf, -math.inf, 1.0, math.nan]):
            mlflow.log_metric("odd", value, step=step)
        mlflow.log_metric("before zero", 1.5, step=-3)
        mlflow.log_metric("a/b/c", 1e-300)
        for _ in range(2):
            client.log_metric(run_id, "again", 0.1, timestamp=BEGAN_MS, step=1)
        mlflow.set_tags({"shift": "night", "ключ": "☂", "x/y.z": "1"})
        mlflow.log_text("hello ☃", "notes/wörds.txt")
        mlflow.log_text("", "empty.txt")
        data = mlflow.data.from_pandas(
            table.assign(fare=fares), source="/data/green 2022.csv", name="green", targets="fare"
        )
        mlflow.log_input(data, context="training")
        for name in ("model", "second"):
            log_model(mlflow, model, name)
        for number in range(3):
            with mlflow.start_run(nested=True, run_name=f"child {number}"):
                mlflow.log_param("number", number)
                mlflow.log_metric("rmse", number / 3)


def log_other_runs(mlflow: Any, client: Any, experiment: str, model: Any, points: int) -> None:
    """Log runs that are long, failed, deleted, running, scheduled, and one with a model."""
    metric = importlib.import_module("mlflow.entities").Metric
    with mlflow.start_run(run_name="long") as run:
        for start in range(0, points, 1000):
            some = [
                metric("loss", math.sin(at) if at % 777 else math.nan, BEGAN_MS + at, at)
                for at in range(start, min(points, start + 1000))
            ]
            client.log_batch(run.info.run_id, metrics=some)
    failed = client.create_run(experiment, run_name="failed")
    client.set_terminated(failed.info.run_id, "FAILED")
    deleted = client.create_run(experiment, run_name="deleted")
    client.log_metric(deleted.info.run_id, "rmse", 8.5)
    client.set_terminated(deleted.info.run_id, "KILLED")
    client.delete_run(deleted.info.run_id)
    client.create_run(experiment, run_name="going on")
    later = client.create_run(experiment, run_name="to come")
    client.update_run(later.info.run_id, status="SCHEDULED")
    with mlflow.start_run(run_name="third"):
        log_model(mlflow, model, "model")


def log_models(mlflow: Any, client: Any, experiment: str, model: Any) -> None:
    """Log models as MLflow 3 has them: measured, read by a run, without a run, and deleted."""
    data = mlflow.data.from_numpy(importlib.import_module("numpy").zeros((3, 2)), name="held_out")
    with mlflow.start_run(run_name="measured"):
        info = mlflow.sklearn.log_model(
            model, name="measured", params={"alpha": 1}, model_type="regressor", step=7,
            pip_requirements=["scikit-learn"],
        )  # fmt: skip
        mlflow.log_metric("mae", 1.5, step=1, model_id=info.model_id)
        # At step 0, for MLflow's folders take every point on data of a run's metric for one.
        mlflow.log_metric("mae", 1.25, step=0, model_id=info.model_id, dataset=data)
        mlflow.log_metric("nothing", math.nan, model_id=info.model_id)
    client.set_logged_model_tags(info.model_id, {"stage": "dev", "ключ": "☂"})
    with mlflow.start_run(run_name="reads a model") as run:
        read = importlib.import_module("mlflow.entities").LoggedModelInput
        client.log_inputs(run.info.run_id, models=[read(model_id=info.model_id)])
    loose = mlflow.create_external_model(name="loose", experiment_id=experiment, params={"a": "b"})
    client.finalize_logged_model(loose.model_id, "READY")
    mlflow.initialize_logged_model(name="pending", experiment_id=experiment)
    gone = mlflow.create_external_model(name="gone", experiment_id=experiment)
    client.delete_logged_model(gone.model_id)


def main(uri: str, points: int) -> None:
    """Fill an empty store."""
    warnings.simplefilter("ignore")
    mlflow = importlib.import_module("mlflow")
    importlib.import_module("mlflow.sklearn")
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("táxi fares ☂", tags={"team": "cabs", "note": "a\nb"})
    gone = client.create_experiment("gone")
    mlflow.set_experiment(experiment_id=experiment)
    model, table, fares = train()
    log_best_run(mlflow, client, model, table, fares)
    log_other_runs(mlflow, client, experiment, model, points)
    if mlflow.__version__ >= "3":
        log_models(mlflow, client, experiment, model)
    in_trash = client.create_run(gone, run_name="in the trash")
    client.log_param(in_trash.info.run_id, "k", "v")
    client.set_terminated(in_trash.info.run_id)
    client.delete_experiment(gone)

    client.update_registered_model("fare", "what a ride costs ☂")
    client.set_registered_model_tag("fare", "owner", "cabs")
    client.update_model_version("fare", "1", "the first")
    client.set_model_version_tag("fare", "1", "validated", "yes")
    client.transition_model_version_stage("fare", "1", "Production")
    client.transition_model_version_stage("fare", "3", "Staging")
    client.delete_model_version("fare", "2")
    client.set_registered_model_alias("fare", "champion", "3")
    client.create_registered_model("empty", description="nothing yet")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
