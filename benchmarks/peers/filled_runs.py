"""The runs that are searched, the same in every store: rows for stores with MLflow's tables.

``fill_store.py`` has Loopline's: 10 metrics and params a run, ten experiments, ``lr`` with many
values, ``model`` with three, metrics without ties. Seed and order of choices are the same there.
"""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["EXPERIMENTS", "insert_history", "insert_runs"]

WIDTH, EXPERIMENTS, START_MS = 10, 10, 1_672_531_200_000
MODELS = ("gbm", "keras", "linear")
#: Runs written together.
TOGETHER = 10_000


def insert_runs(file: Path, count: int, *, param_value: str, extra: dict[str, Any]) -> None:
    """Write the runs into the tables ``runs``, ``params``, ``tags`` and ``latest_metrics``.

    Args:
        file: The SQLite database, its ten experiments made.
        count: How many runs.
        param_value: What the column of a param's value is called.
        extra: Columns that only this store has, by ``table.column``.
    """
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "BEGIN"):
        connection.execute(statement)
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, (table, row) in enumerate(_rows(count, param_value)):
        own = {name.partition(".")[2]: value for name, value in extra.items()
               if name.partition(".")[0] == table}  # fmt: skip
        rows.setdefault(table, []).append(row | own)
        if not number % (TOGETHER * (2 * WIDTH + 2)):
            _insert(connection, rows)
    _insert(connection, rows)
    connection.execute("COMMIT")
    # No peer does it by itself. Without it SQLite plans MLflow's orders by a metric so badly that
    # they take minutes; with it, half a second.
    connection.execute("ANALYZE")
    connection.close()


def insert_history(file: Path, run_id: str, count: int, *, extra: dict[str, Any]) -> None:
    """Write one long history, ``loss``, into the table ``metrics`` and its last point."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=60)
    for statement in ("PRAGMA synchronous=OFF", "BEGIN"):
        connection.execute(statement)
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    point = {"key": "loss", "timestamp": START_MS, "is_nan": 0, "run_uuid": run_id}
    common = {name.partition(".")[2]: value for name, value in extra.items()
              if name.startswith("metrics.")}  # fmt: skip
    rows = [point | {"step": step, "value": choose.random()} | common for step in range(count)]
    last = {name.partition(".")[2]: value for name, value in extra.items()
            if name.startswith("latest_metrics.")}  # fmt: skip
    _insert(connection, {"metrics": rows})
    _insert(connection, {"latest_metrics": [point | {"step": count - 1, "value": 0.5} | last]})
    connection.execute("COMMIT")
    connection.close()


def _rows(count: int, param_value: str) -> Iterator[tuple[str, dict[str, Any]]]:
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    for run in range(1, count + 1):
        run_id, start_ms = f"{run:032x}", START_MS + run * 10
        yield (
            "runs",
            {
                "run_uuid": run_id, "name": f"night {run}", "source_type": "LOCAL",
                "source_name": "", "entry_point_name": "", "user_id": "vera",
                "status": "FINISHED", "start_time": start_ms, "end_time": start_ms + 1000,
                "source_version": "", "lifecycle_stage": "active", "artifact_uri": "x",
                "experiment_id": run % EXPERIMENTS + 1,
            },
        )  # fmt: skip
        params = {"model": MODELS[run % 3], "lr": f"{choose.random():.6f}"}
        params |= {f"p{index}": str(choose.randrange(100)) for index in range(2, WIDTH)}
        for key, value in params.items():
            yield "params", {"key": key, param_value: value, "run_uuid": run_id}
        yield "tags", {"key": "mlflow.runName", "value": f"night {run}", "run_uuid": run_id}
        for index in range(WIDTH):
            yield (
                "latest_metrics",
                {
                    "key": f"m{index}" if index else "rmse", "value": 3.5 + choose.random() * 3,
                    "timestamp": start_ms, "step": 99, "is_nan": 0, "run_uuid": run_id,
                },
            )  # fmt: skip


def _insert(connection: sqlite3.Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    for table, found in rows.items():
        if found:
            names, marks = ", ".join(found[0]), ", ".join("?" * len(found[0]))
            connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names from this file
                (tuple(row.values()) for row in found),
            )
    rows.clear()
