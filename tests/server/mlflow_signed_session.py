"""What a real MLflow client can do as somebody; run by the Python that has it, prints JSON."""

from __future__ import annotations

import json
import sys

import mlflow
from mlflow import MlflowClient


def tried(call: object, *arguments: object, **named: object) -> str:
    """Call; tell the code of the error, or that there was none."""
    try:
        call(*arguments, **named)  # type: ignore[operator]
    except mlflow.exceptions.MlflowException as error:
        return str(error.error_code)
    return "done"


def main() -> None:
    """Look, log, upload, download and register."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    own, other = sys.argv[2], sys.argv[3]
    seen = {
        "experiments": sorted(each.name for each in client.search_experiments()),
        "own": tried(client.get_experiment, own),
        "other": tried(client.get_experiment, other),
        "by name": client.get_experiment_by_name("night shift") is not None,
        "makes experiments": tried(client.create_experiment, "new"),
        "makes models": tried(client.create_registered_model, "new"),
    }

    def log() -> None:
        run = client.create_run(own)
        client.log_param(run.info.run_id, "model", "gbm")
        client.log_metric(run.info.run_id, "rmse", 4.0)
        client.log_text(run.info.run_id, "fares", "notes.txt")
        address = f"{run.info.artifact_uri}/notes.txt"
        assert mlflow.artifacts.load_text(address) == "fares"

    seen["logs"] = tried(log)
    seen["runs"] = len(client.search_runs([own, other]))
    print(json.dumps(seen))


main()
