"""What MLflow's client does, be the store MLflow's own SQLite file or a FastTrackML server."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, Any

from protocol import (
    HISTORY_POINTS,
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    rate,
    until_durable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["MlflowWorks"]

#: Set for the rows "asynchronous": the call returns before the store has it.
ASYNCHRONOUS = os.environ.get("BENCHMARK_ASYNCHRONOUS") == "1"
LOG = "log('rmse', value, step=step" + (", synchronous=False)" if ASYNCHRONOUS else ")")
#: What waits for the store must be stored before the process ends.
MOST = 3_000 if ASYNCHRONOUS else 20_000
#: A search that took longer counts as it is, and is not asked again.
SLOW_S = 10.0
SEARCHED, FRAMED = 100_000, 10_000
TWO = "metrics.rmse < 4 and params.model = 'gbm'"


class MlflowWorks:
    """The works, bound to a store.

    Args:
        open_store: Makes a store in a folder, or opens the one there; answers its URI.
        fill_runs: Makes a store with so many runs in bulk, or opens it; answers its URI.
        fill_history: Gives a run a metric ``loss`` of a million points, in bulk.
    """

    def __init__(
        self,
        open_store: Callable[[Path], str],
        fill_runs: Callable[[Path, int], str],
        fill_history: Callable[[Path, str], None],
    ) -> None:
        self.open_store = open_store
        self.fill_runs = fill_runs
        self.fill_history = fill_history

    def all(self) -> dict[str, Callable[[Path], Any]]:
        """Name them."""
        return {
            "log_metric": self.log_metric,
            "cpu": self.cpu,
            "kill": self.kill,
            "read": self.read,
            "arrays": self.arrays,
            "runs": self.runs,
            "whole": self.whole,
            "history": self.history,
            "search": self.search,
            "frame": self.frame,
        }

    def connect(self, folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
        """Open the store and tell the client where it is."""
        import mlflow

        mlflow.set_tracking_uri(self.open_store(folder))
        return mlflow

    def log_metric(self, folder: Path) -> dict[str, float]:
        """One point a call."""
        mlflow = self.connect(folder)
        with mlflow.start_run():
            return call_times(LOG, {"log": mlflow.log_metric}, most=MOST)

    def cpu(self, folder: Path) -> dict[str, float]:
        """Until the store has them all; a server's CPU counts."""
        mlflow = self.connect(folder)
        run = mlflow.start_run()
        client = mlflow.MlflowClient()

        def finish() -> None:
            if ASYNCHRONOUS:
                mlflow.flush_async_logging()

        def read() -> int:
            return len(client.get_metric_history(run.info.run_id, "rmse"))

        found = until_durable(LOG, {"log": mlflow.log_metric}, finish, read, most=MOST)
        mlflow.end_run()
        return found

    def kill(self, folder: Path) -> None:
        """Log until killed."""
        mlflow = self.connect(folder)
        run = mlflow.start_run()
        (folder / "run").write_text(run.info.run_id)
        log_for_ever(folder, LOG, {"log": mlflow.log_metric})

    def read(self, folder: Path) -> dict[str, int]:
        """Count what a next client reads."""
        client = self.connect(folder).MlflowClient()
        history = client.get_metric_history((folder / "run").read_text(), "rmse")
        return {"survived": len(history)}

    def arrays(self, folder: Path) -> dict[str, float]:
        """Batches of 1,000 points, the most that one call takes."""
        mlflow = self.connect(folder)
        client = mlflow.MlflowClient()
        run = client.create_run("0").info.run_id
        now = int(time.time() * 1000)

        def batch(begin: int) -> None:
            points = [
                mlflow.entities.Metric("loss", step / 3, now, step)
                for step in range(begin, begin + 1000)
            ]
            client.log_batch(run, metrics=points)

        batch(0)
        count = 20_000
        return {
            "points_per_s": rate(
                count, lambda: [batch(begin) for begin in range(1000, count + 1000, 1000)]
            )
        }

    def runs(self, folder: Path) -> dict[str, float]:
        """Start, 10 params, 10 metrics, end."""
        mlflow = self.connect(folder)
        mlflow.set_experiment("runs")
        with mlflow.start_run():
            pass
        count = 60

        def work() -> None:
            for number in range(count):
                with mlflow.start_run(run_name=f"night {number}"):
                    mlflow.log_params(PARAMS)
                    mlflow.log_metrics(RUN_METRICS)

        return {"runs_per_s": rate(count, work)}

    def whole(self, folder: Path) -> None:
        """Import, start, log one point, end."""
        mlflow = self.connect(folder)
        with mlflow.start_run():
            mlflow.log_metric("rmse", 3.9)

    def history(self, folder: Path) -> dict[str, float]:
        """A million points, written in bulk before, to NumPy."""
        mlflow = self.connect(folder)
        with mlflow.start_run() as run:
            pass
        self.fill_history(folder, run.info.run_id)
        client = mlflow.MlflowClient()

        def columns() -> object:
            import numpy as np

            found = client.get_metric_history(run.info.run_id, "loss")
            steps = np.array([point.step for point in found])
            if len(steps) != HISTORY_POINTS:
                raise SystemExit(f"{len(steps)} points were read, not {HISTORY_POINTS}")
            return steps, np.array([point.value for point in found])

        return {"whole_1m_ms": 1e3 / rate(1, columns)}

    def search(self, folder: Path) -> dict[str, float]:
        """Search 100,000 runs."""
        import mlflow

        mlflow.set_tracking_uri(self.fill_runs(folder, SEARCHED))
        client = mlflow.MlflowClient()
        every = [each.experiment_id for each in mlflow.search_experiments()]

        def ask_ms(filter_: str, order: list[str], expected: int = 100) -> float:
            def ask() -> None:
                found = len(client.search_runs(every, filter_, 1, 100, order))
                if found != expected:
                    raise SystemExit(f"a search found {found} runs, not {expected}")

            first_s = 1 / rate(1, ask)
            if first_s > SLOW_S:
                return first_s * 1e3
            return statistics.median(1e3 / rate(1, ask) for _ in range(3))

        return {
            "newest_ms": ask_ms("", []),
            "ordered_ms": ask_ms("", ["metrics.rmse ASC"]),
            "filtered_ms": ask_ms(TWO, ["metrics.rmse ASC"]),
            "filtered_newest_ms": ask_ms(TWO, []),
            "one_param_ms": ask_ms("params.lr = '0.134364'", [], expected=1),
        }

    def frame(self, folder: Path) -> dict[str, float]:
        """10,000 runs to a DataFrame."""
        import mlflow

        mlflow.set_tracking_uri(self.fill_runs(folder, SEARCHED))
        every = [each.experiment_id for each in mlflow.search_experiments()]

        def work() -> None:
            if len(mlflow.search_runs(every, max_results=FRAMED)) != FRAMED:
                raise SystemExit("a search did not find all runs")

        return {"frame_s": 1 / rate(1, work)}
