"""MLflow on its own SQLite file, without a server: its default on a laptop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from artifact_works import free_address, measure, served
from filled_runs import EXPERIMENTS, insert_history, insert_runs
from mlflow_works import MlflowWorks
from protocol import HISTORY_POINTS, main

if TYPE_CHECKING:
    from pathlib import Path


def open_store(folder: Path) -> str:
    """Name the file; MLflow makes it."""
    return f"sqlite:///{folder / 'mlflow.db'}"


def fill_runs(folder: Path, count: int) -> str:
    """Make the store with so many runs, unless it is kept from before."""
    import mlflow

    file = folder / f"mlflow-{mlflow.__version__}-{count}.db"
    uri = f"sqlite:///{file}"
    if not file.with_suffix(".analyzed").exists():
        file.unlink(missing_ok=True)
        mlflow.set_tracking_uri(uri)
        for number in range(1, EXPERIMENTS + 1):
            mlflow.create_experiment(f"search {number}")
        insert_runs(file, count, param_value="value", extra={})
        file.with_suffix(".analyzed").touch()
    return uri


def fill_history(folder: Path, run_id: str) -> None:
    """Write the points past MLflow, which takes minutes for them."""
    insert_history(folder / "mlflow.db", run_id, HISTORY_POINTS, extra={})


def artifacts(folder: Path) -> dict[str, float]:
    """Send a file through ``mlflow server`` to its folder of artifacts, and back."""
    address = free_address()
    host, _, port = address.partition(":")
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "kept")]
    with served(command, address, folder) as process:
        url = f"http://{address}/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts"
        return measure(url, process.pid, folder)


if __name__ == "__main__":
    works = MlflowWorks(open_store, fill_runs, fill_history).all()
    main({**works, "artifacts": artifacts})
