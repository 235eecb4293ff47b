"""DVCLive: a line of a TSV file a point, the file opened and closed by each call; no ``fsync``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from protocol import (
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    main,
    rate,
    until_durable,
)

if TYPE_CHECKING:
    from pathlib import Path

LOG = "live.step = step; log('rmse', value)"


def start(folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
    """Open a run without Git, which would make a commit of each."""
    from dvclive import Live

    os.chdir(folder)
    return Live(str(folder / "live"), save_dvc_exp=False, dvcyaml=None)


def stored(live: Any) -> int:  # noqa: ANN401 - imported when it is measured
    """Count with its own reader."""
    from dvclive.utils import read_history

    return len(read_history(live, "rmse")[0])


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call, with the step set as ``next_step`` would, without its summary."""
    live = start(folder)
    found = call_times(LOG, {"live": live, "log": live.log_metric}, most=50_000)
    live.end()
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Until ``end``; not synced to disk."""
    live = start(folder)
    return until_durable(
        LOG, {"live": live, "log": live.log_metric}, live.end, lambda: stored(live), most=50_000
    )


def kill(folder: Path) -> None:
    """Log until killed."""
    live = start(folder)
    log_for_ever(folder, LOG, {"live": live, "log": live.log_metric})


def read(folder: Path) -> dict[str, int]:
    """Count the lines of the file."""
    file = folder / "live" / "plots" / "metrics" / "rmse.tsv"
    return {"survived": file.read_bytes().count(b"\n") - 1}


def arrays(folder: Path) -> dict[str, float]:
    """Point by point: it has no other way."""
    live = start(folder)
    live.log_metric("rmse", 0.0)
    count = 20_000

    def work() -> None:
        for step in range(count):
            live.step = step
            live.log_metric("rmse", step / 3)
        live.end()

    return {"points_per_s": rate(count, work)}


def runs(folder: Path) -> dict[str, float]:
    """Start, 10 params, 10 metrics, end; a folder a run."""
    from dvclive import Live

    start(folder).end()
    count = 50

    def work() -> None:
        for number in range(count):
            with Live(str(folder / f"night {number}"), save_dvc_exp=False, dvcyaml=None) as live:
                live.log_params(PARAMS)
                for key, value in RUN_METRICS.items():
                    live.log_metric(key, value)

    return {"runs_per_s": rate(count, work)}


def whole(folder: Path) -> None:
    """Import, start, log one point, end."""
    live = start(folder)
    live.log_metric("rmse", 3.9)
    live.end()


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
        },
        {
            "search": "a folder of files a run, searched by DVC through Git commits",
            "frame": "a folder of files a run, searched by DVC through Git commits",
            "history": "its files are TSV, for others to read",
        },
    )
