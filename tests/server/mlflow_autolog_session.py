"""What clients log by themselves: autolog, evaluate, system metrics; prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression

X = pd.DataFrame({"km": np.arange(40.0), "hour": np.arange(40.0) % 24})
Y = 3 + 2 * X["km"]
#: MLflow 1 has neither system metrics nor data versions.
IS_OLD = not hasattr(mlflow, "set_system_metrics_sampling_interval")


def autolog(client: MlflowClient) -> dict[str, object]:
    """Train under autolog."""
    mlflow.sklearn.autolog()
    with mlflow.start_run() as active:
        GradientBoostingRegressor(n_estimators=5).fit(X, Y)
    mlflow.sklearn.autolog(disable=True)
    run = client.get_run(active.info.run_id)
    model = mlflow.sklearn.load_model(f"runs:/{active.info.run_id}/model")
    return {
        "param": run.data.params["n_estimators"],
        "metric": any(key.startswith("training_m") for key in run.data.metrics),
        "datasets": [] if IS_OLD else [each.dataset.name for each in run.inputs.dataset_inputs],
        "predicts": len(model.predict(X[:3])),
        "models": len(run.outputs.model_outputs) if getattr(run, "outputs", None) else 0,
    }


def evaluate(client: MlflowClient) -> dict[str, object]:
    """Evaluate a model of the registry; MLflow 1 asks for matplotlib and shap to do so."""
    if IS_OLD:
        return {}
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        saved = Path(folder) / "model"
        mlflow.sklearn.save_model(LinearRegression().fit(X, Y), saved)
        mlflow.log_artifacts(str(saved), "model")
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "fares")
    with mlflow.start_run() as evaluated:
        result = mlflow.models.evaluate(
            "models:/fares/1", X.assign(fare=Y), targets="fare", model_type="regressor",
            evaluators="default", evaluator_config={"log_explainer": False},
        )  # fmt: skip
    logged = client.get_run(evaluated.info.run_id).data.metrics
    return {
        "evaluated": round(result.metrics["mean_absolute_error"], 6),
        "logged": round(logged["mean_absolute_error"], 6),
    }


def watch(client: MlflowClient) -> dict[str, object]:
    """Sample the system while a nested run logs asynchronously."""
    if IS_OLD:
        return {}
    mlflow.set_system_metrics_sampling_interval(1)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as watched:
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("rmse", 1.0)
        time.sleep(2.5)
    keys = client.get_run(watched.info.run_id).data.metrics
    tags = client.get_run(child.info.run_id).data.tags
    return {
        "system": "system/cpu_utilization_percentage" in keys,
        "child": tags["mlflow.parentRunId"] == watched.info.run_id,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("wagoncab taxifare")
    ours = MlflowClient()
    print(json.dumps({**autolog(ours), **evaluate(ours), **watch(ours)}))
