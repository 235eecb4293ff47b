"""FastTrackML: its server in Go on a SQLite file, asked over HTTP by the MLflow client it brings.

The server is up before anything is measured; its CPU counts where that of all processes does.
"""

from __future__ import annotations

import atexit
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from filled_runs import EXPERIMENTS, insert_history, insert_runs
from mlflow_works import MlflowWorks
from protocol import HISTORY_POINTS, main

#: Columns that only FastTrackML has; its context 1 is the empty one.
EXTRA = {
    "latest_metrics.last_iter": 1,
    "latest_metrics.context_id": 1,
    "metrics.iter": 1,
    "metrics.context_id": 1,
}
UP_S = 30.0


def serve(file: Path) -> str:
    """Start a server on a database; answer its address once it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [Path(sys.executable).with_name("fml"), "server", "-l", "error"]
    server = subprocess.Popen(
        [*command, "-a", address, "-d", f"sqlite://{file}", "--default-artifact-root", file.parent],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=file.parent,
    )  # fmt: skip
    atexit.register(server.terminate)
    until = time.monotonic() + UP_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/health"):
                break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.05)
    else:
        raise SystemExit("the FastTrackML server did not come up")
    return f"http://{address}"


def open_store(folder: Path) -> str:
    """Start a server on the folder's database."""
    return serve(folder / "fasttrackml.db")


def fill_runs(folder: Path, count: int) -> str:
    """Make the store with so many runs, unless it is kept from before."""
    import mlflow

    file = folder / f"fasttrackml-{count}.db"
    done = file.with_suffix(".analyzed")
    if not done.exists():
        file.unlink(missing_ok=True)
    uri = serve(file)
    if not done.exists():
        mlflow.set_tracking_uri(uri)
        for number in range(1, EXPERIMENTS + 1):
            mlflow.create_experiment(f"search {number}")
        with mlflow.start_run(experiment_id="1") as run:
            mlflow.log_metric("rmse", 99.0)  # Makes the empty context.
        mlflow.delete_run(run.info.run_id)
        insert_runs(file, count, param_value="value_str", extra=EXTRA)
        done.touch()
    return uri


def fill_history(folder: Path, run_id: str) -> None:
    """Write the points past the server."""
    import mlflow

    mlflow.MlflowClient().log_metric(run_id, "rmse", 99.0)  # Makes the empty context.
    insert_history(folder / "fasttrackml.db", run_id, HISTORY_POINTS, extra=EXTRA)


if __name__ == "__main__":
    able = MlflowWorks(open_store, fill_runs, fill_history).all()
    del able["whole"]
    why = "it needs a server besides; its client is MLflow's, whose import is the time"
    main(able, {"whole": why})
