"""trackio in its local mode: a SQLite file, written by a thread twice a second."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TRACKIO_DIR"] = str(Path(sys.argv[2]) / "trackio")

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

LOG = "log({'rmse': value}, step=step)"
PROJECT = "wagoncab"


def start(name: str = "night", config: dict[str, Any] | None = None) -> None:
    """Start a run without the sampling of machines, which is off for all."""
    import trackio

    trackio.init(
        project=PROJECT, name=name, config=config, embed=False,
        auto_log_gpu=False, auto_log_cpu=False,
    )  # fmt: skip


def stored(name: str = "night") -> list[dict[str, Any]]:
    """Read a history as the dashboard does."""
    from trackio.sqlite_storage import SQLiteStorage

    return list(SQLiteStorage.get_metric_values(PROJECT, name, "rmse"))


def log_metric(_: Path) -> dict[str, float]:
    """One point a call; the thread writes meanwhile."""
    import trackio

    start()
    found = call_times(LOG, {"log": trackio.log}, most=200_000)
    trackio.finish()
    return found


def cpu(_: Path) -> dict[str, float]:
    """Until ``finish`` has written all to SQLite."""
    import trackio

    start()
    return until_durable(
        LOG, {"log": trackio.log}, trackio.finish, lambda: len(stored()), most=100_000
    )


def kill(folder: Path) -> None:
    """Log until killed."""
    import trackio

    start()
    log_for_ever(folder, LOG, {"log": trackio.log})


def read(_: Path) -> dict[str, int]:
    """Count after a next process has started on the project, which sends what it finds."""
    start("next")
    import trackio

    trackio.finish()
    return {"survived": len(stored())}


def fill(count: int, name: str = "night") -> None:
    """Write many points with one call of its storage, the widest way in that it has."""
    from trackio.sqlite_storage import SQLiteStorage

    for begin in range(0, count, 100_000):
        steps = list(range(begin, min(begin + 100_000, count)))
        SQLiteStorage.bulk_log(
            project=PROJECT, run=name, steps=steps,
            metrics_list=[{"rmse": step / 3} for step in steps],
        )  # fmt: skip


def arrays(_: Path) -> dict[str, float]:
    """Its storage's bulk call, which no public one reaches."""
    count = 100_000
    fill(1, "warm")
    return {"points_per_s": rate(count, lambda: fill(count))}


def runs(_: Path) -> dict[str, float]:
    """Start with 10 params as config, 10 metrics, finish."""
    import trackio

    start("warm")
    trackio.finish()
    count = 100

    def work() -> None:
        for number in range(count):
            start(f"night {number}", PARAMS)
            trackio.log(RUN_METRICS)
            trackio.finish()

    return {"runs_per_s": rate(count, work)}


def whole(_: Path) -> None:
    """Import, start, log one point, end."""
    import trackio

    start()
    trackio.log({"rmse": 3.9})
    trackio.finish()


def history(_: Path) -> dict[str, float]:
    """A million points, written in bulk before, to two lists."""
    from trackio.sqlite_storage import SQLiteStorage

    fill(HISTORY_POINTS)

    def to_2000() -> object:
        return SQLiteStorage.get_metric_values(PROJECT, "night", "rmse", max_points=2_000)

    def columns() -> object:
        found = stored()
        return [point["step"] for point in found], [point["value"] for point in found]

    return {
        "whole_1m_ms": wall_ms(columns, repeats=1),
        "chart_1m_ms": wall_ms(to_2000, repeats=1),
    }


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
            "search": "it lists the runs of a project and has no filter nor order",
            "frame": "it has no search that makes a DataFrame",
        },
    )
