"""A session of a real MLflow on a home, through the plug-in and without a server; prints JSON.

    python mlflow_plugin_session.py run|load|fork ADDRESS

``LOOPLINE_TEST_SITE`` is where Loopline is installed: found last, so that MLflow keeps its own.
"""

import json
import os
import site
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
site.addsitedir(os.environ["LOOPLINE_TEST_SITE"])  # Before MLflow looks for plug-ins.

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402

NAME = "taxifare"


def record() -> dict[str, object]:
    """Have a whole session: runs, metrics, files, a model, its stages and aliases."""
    mlflow.set_experiment("wagoncab taxifare")
    miles = np.array([[1.0], [2.0]])
    model = LinearRegression(fit_intercept=False).fit(miles, [2.5, 5.0])
    with mlflow.start_run(run_name="night") as run:
        mlflow.log_params({"model": "linear", "note": "of mlflow-artifacts:/x"})
        for step in range(3):
            mlflow.log_metric("rmse", 4.0 - step, step=step)
        late = mlflow.log_metric("late", 1.0, synchronous=False)
        mlflow.log_dict({"a": [1, 2]}, "notes/facts.json")
        Path("large.bin").write_bytes(os.urandom(9_000_000))
        mlflow.log_artifact("large.bin")
        with mlflow.start_run(nested=True):
            mlflow.set_tag("child", "yes")
        mlflow.sklearn.log_model(model, "model", registered_model_name=NAME)
    late.wait()
    client = MlflowClient()
    client.transition_model_version_stage(NAME, "1", "Production", archive_existing_versions=True)
    client.set_registered_model_alias(NAME, "champion", "1")
    found = client.get_run(run.info.run_id)
    history = [point.value for point in client.get_metric_history(run.info.run_id, "rmse")]
    names = sorted(each.path for each in client.list_artifacts(run.info.run_id))
    back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="large.bin")
    refused = ""
    children = mlflow.search_runs(filter_string="tags.child = 'yes'", search_all_experiments=True)
    try:
        client.log_param(run.info.run_id, "model", "another")
    except mlflow.exceptions.MlflowException as error:
        refused = error.error_code
    return {
        "run_id": run.info.run_id,
        "artifact_uri": found.info.artifact_uri.partition("/")[0],
        "params": found.data.params,
        "metrics": found.data.metrics,
        "history": sorted(history),
        "files": names,
        "whole": Path(back).read_bytes() == Path("large.bin").read_bytes(),
        "facts": mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/notes/facts.json"),
        "found": len(mlflow.search_runs(experiment_names=["wagoncab taxifare"])),
        "children": len(children),
        "refused": refused,
        "fares": fares(run.info.run_id),
    }


def fares(run_id: str) -> list[float]:
    """Load the model by every kind of address."""
    addresses = [f"models:/{NAME}/1", f"models:/{NAME}/Production", f"models:/{NAME}@champion"]
    addresses += [f"runs:/{run_id}/model"] if run_id else []
    return [float(mlflow.pyfunc.load_model(a).predict(np.array([[2.0]]))[0]) for a in addresses]


def fork() -> dict[str, object]:
    """Log from a forked child to a run of its parent."""
    with mlflow.start_run() as run:
        mlflow.log_metric("parent", 1.0)
        child = os.fork()
        if child == 0:
            MlflowClient().log_metric(run.info.run_id, "child", 2.0)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        mlflow.log_metric("after", 3.0)
    return {"status": status, "metrics": MlflowClient().get_run(run.info.run_id).data.metrics}


def main() -> None:
    """Do what the command line says."""
    command, address = sys.argv[1:]
    mlflow.set_tracking_uri(address)
    answer: dict[str, object]
    if command == "run":
        answer = record()
    elif command == "fork":
        answer = fork()
    elif command == "load":
        answer = {"fares": fares("")}
    else:
        try:
            mlflow.search_experiments()
            answer = {"error": ""}
        except Exception as error:  # noqa: BLE001 - whatever MLflow makes of it
            answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
