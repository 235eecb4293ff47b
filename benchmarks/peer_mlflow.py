"""What MLflow does for the same work; run by the Python that has it, prints JSON.

``python peer_mlflow.py WORK FOLDER``: the bench scripts call it with ``--peer PYTHON``. Stores
are filled in bulk, by SQL into MLflow's own tables, and kept between runs.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import sys
import time
from pathlib import Path

WIDTH, EXPERIMENTS, START_MS = 10, 10, 1_672_531_200_000
MODELS = ("gbm", "keras", "linear")


def fill(folder: Path, runs: int) -> str:
    """Make MLflow's store with so many runs; return its URI."""
    import mlflow

    file = folder / f"mlflow-{runs}.db"
    uri = f"sqlite:///{file}"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)
    if file.with_suffix(".done").exists():
        return uri
    for number in range(1, EXPERIMENTS + 1):
        mlflow.create_experiment(f"search {number}")
    connection = sqlite3.connect(file, isolation_level=None)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(latest_metrics)")]
    for statement in ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "BEGIN"):
        connection.execute(statement)
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    for run in range(1, runs + 1):
        run_id, experiment, start = f"{run:032x}", run % EXPERIMENTS + 1, START_MS + run * 10
        connection.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
            " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri,"
            " experiment_id) VALUES (?,?,'LOCAL','','','vera','FINISHED',?,?,'','active','x',?)",
            (run_id, f"night {run}", start, start + 1000, experiment),
        )
        params = {"model": MODELS[run % 3], "lr": f"{choose.random():.6f}"}
        params |= {f"p{index}": str(choose.randrange(100)) for index in range(2, WIDTH)}
        connection.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?,?,?)",
            [(key, value, run_id) for key, value in params.items()],
        )
        connection.execute(
            "INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName',?,?)",
            (f"night {run}", run_id),
        )
        names = [
            c for c in columns if c in {"key", "value", "timestamp", "step", "is_nan", "run_uuid"}
        ]
        marks = ",".join("?" * len(names))
        rows = []
        for index in range(WIDTH):
            row = {
                "key": f"m{index}" if index else "rmse", "value": 3.5 + choose.random() * 3,
                "timestamp": start, "step": 99, "is_nan": 0, "run_uuid": run_id,
            }  # fmt: skip
            rows.append([row[name] for name in names])
        connection.executemany(
            f"INSERT INTO latest_metrics ({','.join(names)}) VALUES ({marks})",  # noqa: S608
            rows,
        )
    connection.execute("COMMIT")
    connection.close()
    file.with_suffix(".done").touch()
    return uri


def timed(work: object, repeats: int) -> float:
    """Median of the wall times, in milliseconds."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()  # type: ignore[operator]
        found.append((time.perf_counter() - began) * 1e3)
    return statistics.median(found)


def search(folder: Path) -> dict[str, float]:
    """Search 100,000 runs."""
    fill(folder, 100_000)
    import mlflow

    client = mlflow.MlflowClient()
    every = [e.experiment_id for e in mlflow.search_experiments()]

    def ask(filter_: str = "", order: str = "", most: int = 100) -> object:
        order_by = [order] if order else None
        return lambda: client.search_runs(every, filter_, 1, most, order_by)

    ask()()  # type: ignore[operator]
    two = "metrics.rmse < 4 and params.model = 'gbm'"
    return {
        "newest 100": timed(ask(), 3),
        "top 100 by a metric": timed(ask(order="metrics.rmse ASC"), 3),
        "filter of two, by a metric": timed(ask(two, "metrics.rmse ASC"), 3),
        "10,000 to a DataFrame": timed(
            lambda: mlflow.search_runs(search_all_experiments=True, max_results=10_000), 1
        ),
    }


def runs(folder: Path) -> dict[str, float]:
    """Start, log 10 params and 10 metrics, end; runs a second."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / f'runs-{os.getpid()}.db'}")
    mlflow.set_experiment("runs")
    count = 60
    with mlflow.start_run():
        pass
    began = time.perf_counter()
    for number in range(count):
        with mlflow.start_run(run_name=f"night {number}"):
            mlflow.log_params({f"p{i}": i for i in range(10)})
            mlflow.log_metrics({f"m{i}": i / 3 for i in range(10)})
    return {"runs a second": count / (time.perf_counter() - began)}


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call, in microseconds."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / f'points-{os.getpid()}.db'}")
    with mlflow.start_run():
        mlflow.log_metric("rmse", 1.0, step=0)
        count = 300
        began, cpu = time.perf_counter(), time.process_time()
        for step in range(count):
            mlflow.log_metric("rmse", 1.0 + step, step=step)
        wall = (time.perf_counter() - began) / count * 1e6
        return {"wall us": wall, "cpu us": (time.process_time() - cpu) / count * 1e6}


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    place = Path(sys.argv[2])
    place.mkdir(parents=True, exist_ok=True)
    print(json.dumps(globals()[sys.argv[1]](place)))
