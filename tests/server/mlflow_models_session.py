"""A session of a real MLflow 3 client with logged models; prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
import warnings

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

NAME = "taxifare_model"
X = pd.DataFrame({"km": np.arange(40.0), "hour": np.arange(40.0) % 24})
Y = 3 + 2 * X["km"]


def fare(model: object, km: float = 10.0) -> float:
    """Predict one fare."""
    return round(float(model.predict(pd.DataFrame({"km": [km], "hour": [0.0]}))[0]), 6)  # type: ignore[attr-defined]


def log_model(client: MlflowClient) -> dict[str, object]:
    """Log a model with an example, register it, and load it by every address."""
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(X, Y), name="model", input_example=X[:2],
            registered_model_name=NAME, params={"depth": 8}, tags={"city": "New York"},
        )  # fmt: skip
        mlflow.log_metric("rmse", 4.0, model_id=info.model_id)
        trips = mlflow.data.from_pandas(X, name="trips")
        mlflow.log_metric("rmse", 3.0, dataset=trips, model_id=info.model_id)
    client.transition_model_version_stage(NAME, "1", "Production")
    client.set_registered_model_alias(NAME, "best", "1")
    run_id = run.info.run_id
    model = mlflow.get_logged_model(info.model_id)
    return {
        "fares": [
            fare(mlflow.pyfunc.load_model(address))
            for address in (
                info.model_uri, f"runs:/{run_id}/model", f"models:/{NAME}/1",
                f"models:/{NAME}/latest", f"models:/{NAME}/Production", f"models:/{NAME}@best",
            )
        ],
        "native": fare(mlflow.sklearn.load_model(info.model_uri)),
        "model": [model.name, model.status.value, model.params, model.tags["city"]],
        "source": model.source_run_id == run_id,
        "points": sorted([m.key, m.value, m.dataset_name or ""] for m in model.metrics),
        "outputs": [
            output.model_id == info.model_id
            for output in client.get_run(run_id).outputs.model_outputs
        ],
        "files": sorted(f.path for f in client.list_logged_model_artifacts(info.model_id)),
        "id": info.model_id,
    }  # fmt: skip


def search(model_id: str) -> dict[str, object]:
    """Find models."""
    with mlflow.start_run():
        other = mlflow.create_external_model("other", model_type="agent", params={"depth": "2"})
        mlflow.log_metric("rmse", 9.0, model_id=other.model_id)
    best = mlflow.search_logged_models(
        filter_string="metrics.rmse > 0 AND params.depth = '8'", output_format="list",
        order_by=[{"field_name": "metrics.rmse", "ascending": True}],
    )  # fmt: skip
    ordered = mlflow.search_logged_models(
        order_by=[{"field_name": "metrics.rmse", "ascending": True}], output_format="list",
        max_results=1,
    )  # fmt: skip
    on_trips = mlflow.search_logged_models(
        filter_string="metrics.rmse > 0", datasets=[{"dataset_name": "trips"}],
        output_format="list",
    )  # fmt: skip
    return {
        "best": [m.model_id == model_id for m in best],
        "ordered": [m.name for m in ordered],
        "on trips": [m.name for m in on_trips],
        "frame": len(mlflow.search_logged_models()),
    }


def delete(client: MlflowClient, model_id: str) -> dict[str, object]:
    """Tag and delete; the version that was made from a model stays."""
    client.set_logged_model_tags(model_id, {"checked": "yes", "gone": "soon"})
    client.delete_logged_model_tag(model_id, "gone")
    tags = client.get_logged_model(model_id).tags
    client.delete_logged_model(model_id)
    try:
        client.get_logged_model(model_id)
        gone = ""
    except mlflow.exceptions.MlflowException as error:
        gone = error.error_code
    return {
        "tagged": [tags.get("checked"), tags.get("gone")],
        "gone": gone,
        "version stays": fare(mlflow.pyfunc.load_model(f"models:/{NAME}/1")),
    }


def main() -> None:
    """Log, find, delete."""
    warnings.simplefilter("ignore")
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("wagoncab taxifare")
    client = MlflowClient()
    seen = log_model(client)
    model_id = str(seen["id"])
    seen |= search(model_id) | delete(client, model_id)
    print(json.dumps(seen, default=str))


if __name__ == "__main__":
    main()
