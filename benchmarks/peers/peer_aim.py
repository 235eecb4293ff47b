"""Aim, embedded: a RocksDB a run in a repository folder.

A run must be indexed before it can be read; the ``aim`` service does so, and here each run is
indexed right after it is closed, through the index manager of that service.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from protocol import (
    HISTORY_POINTS,
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    main,
    rate,
    until_durable,
    wall_ms,
)

if TYPE_CHECKING:
    from pathlib import Path

LOG = "track(value, name='rmse', step=step)"


def open_repo(folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
    """Open the repository, making it at first."""
    from aim import Repo

    return Repo(str(folder), init=True)


def start(folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
    """Start a run without the sampling of machines and terminals, which is off for all."""
    from aim import Run

    return Run(repo=open_repo(folder), system_tracking_interval=None, capture_terminal_logs=False)


def index(folder: Path, run: str) -> None:
    """Make a run readable."""
    from aim.sdk.index_manager import RepoIndexManager

    RepoIndexManager.get_index_manager(open_repo(folder)).index(run)


def stored(folder: Path, run: str) -> tuple[Any, Any]:
    """Read a history as NumPy arrays; anew when RocksDB moved a file from under the reader."""
    from aim import Run
    from aim.storage.context import Context

    for tries_left in (2, 1, 0):
        try:
            opened = Run(run, repo=open_repo(folder), read_only=True)
            metric = opened.get_metric("rmse", Context({}))
            if metric is None:
                return (), ()
            steps, values = metric.values.sparse_numpy()
        except Exception:
            if not tries_left:
                raise
            time.sleep(2)
        else:
            return steps, values
    raise AssertionError


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call."""
    run = start(folder)
    found = call_times(LOG, {"track": run.track}, most=50_000)
    run.close()
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Until the run is closed and indexed."""
    run = start(folder)

    def finish() -> None:
        run.close()
        index(folder, run.hash)

    return until_durable(
        LOG, {"track": run.track}, finish, lambda: len(stored(folder, run.hash)[0]), most=50_000
    )


def kill(folder: Path) -> None:
    """Log until killed."""
    run = start(folder)
    (folder / "run").write_text(run.hash)
    log_for_ever(folder, LOG, {"track": run.track})


def read(folder: Path) -> dict[str, int]:
    """Index what is there and count."""
    run = (folder / "run").read_text()
    index(folder, run)
    return {"survived": len(stored(folder, run)[0])}


def fill(folder: Path, count: int) -> str:
    """Log point by point: it has no other way."""
    run = start(folder)
    for step in range(count):
        run.track(step / 3, name="rmse", step=step)
    run.close()
    index(folder, run.hash)
    return str(run.hash)


def arrays(folder: Path) -> dict[str, float]:
    """Point by point, until closed and indexed."""
    fill(folder, 1)
    return {"points_per_s": rate(30_000, lambda: fill(folder, 30_000))}


def runs(folder: Path) -> dict[str, float]:
    """Start, 10 params, 10 metrics, close; not indexed, which its service does later."""
    start(folder).close()
    count = 20

    def work() -> None:
        for _ in range(count):
            run = start(folder)
            run["hparams"] = PARAMS
            for key, value in RUN_METRICS.items():
                run.track(value, name=key, step=0)
            run.close()

    return {"runs_per_s": rate(count, work)}


def whole(folder: Path) -> None:
    """Import, start, log one point, end."""
    run = start(folder)
    run.track(3.9, name="rmse", step=0)
    run.close()


def history(folder: Path) -> dict[str, float]:
    """A million points to NumPy, told from 100,000: to log more takes minutes."""
    count = HISTORY_POINTS // 10
    run = fill(folder, count)
    took_ms = wall_ms(lambda: stored(folder, run), repeats=3)
    return {"whole_1m_ms": took_ms * HISTORY_POINTS / count}


if __name__ == "__main__":
    main(
        {
            "log_metric": log_metric,
            "cpu": cpu,
            "kill": kill,
            "read": read,
            "arrays": arrays,
            "runs": runs,
            "whole": whole,
            "history": history,
        },
        {
            "search": "100,000 runs cannot be filled in bulk, and take hours through its API",
            "frame": "10,000 runs cannot be filled in bulk, and take long through its API",
        },
    )
