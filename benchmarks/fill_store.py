"""Fills a store in bulk, straight into its tables: a hundred thousand runs would take an hour else.

Every run has ``WIDTH`` metrics and params; one experiment in ten runs, values that look like a
hyper-parameter search: ``lr`` with many values, ``model`` with three, metrics without ties.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXPERIMENTS", "WIDTH", "fill"]

EXPERIMENTS = 10
WIDTH = 10
START_MS = 1_672_531_200_000
MODELS = ("gbm", "keras", "linear")


def fill(home: Path, runs: int) -> Path:
    """Make a home with this many runs, unless it is there already; return it."""
    done = home / f"filled-{runs}"
    if done.exists():
        return home
    LocalBackend(Address("home", str(home))).close()
    connection = sqlite3.connect(home / "loopline.db", isolation_level=None)
    for statement in ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "BEGIN"):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO ll_experiment (id, name, lifecycle, created_ms, updated_ms)"
        " VALUES (?, ?, 'active', ?, ?)",
        [(e, f"search {e}", START_MS, START_MS) for e in range(1, EXPERIMENTS + 1)],
    )
    connection.executemany(
        "INSERT INTO ll_run (pk, run_id, experiment_id, name, start_ms, end_ms, status, lifecycle,"
        " duration_ms, user, ended_by)"
        " VALUES (?,?,?,?,?,?,'FINISHED','active',1000,'vera','owner')",
        (
            (
                n,
                f"{n:032x}",
                _experiment(n),
                f"night {n}",
                START_MS + n * 10,
                START_MS + n * 10 + 1000,
            )
            for n in range(1, runs + 1)
        ),
    )
    connection.executemany(
        "INSERT INTO ll_param (run_pk, key, value, experiment_id, lifecycle)"
        " VALUES (?,?,?,?,'active')",
        _params(runs),
    )
    connection.executemany(
        "INSERT INTO ll_tag (run_pk, key, value, experiment_id, lifecycle)"
        " VALUES (?,'mlflow.runName',?,?,'active')",
        ((n, f"night {n}", _experiment(n)) for n in range(1, runs + 1)),
    )
    connection.executemany(
        "INSERT INTO ll_metric (run_pk, key, value, is_nan, step, timestamp_ms, min, max, sum,"
        " finite, points, first_step, last_step, experiment_id, lifecycle)"
        " VALUES (?,?,?,0,99,?,?,?,?,100,100,0,99,?,'active')",
        _metrics(runs),
    )
    connection.execute("COMMIT")
    connection.close()
    done.touch()
    return home


def _experiment(run: int) -> int:
    return run % EXPERIMENTS + 1


def _params(runs: int) -> Iterator[tuple[object, ...]]:
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    for run in range(1, runs + 1):
        values = [MODELS[run % 3], f"{choose.random():.6f}"]
        values += [str(choose.randrange(100)) for _ in range(WIDTH - 2)]
        for key, value in zip(
            ("model", "lr", *(f"p{i}" for i in range(2, WIDTH))), values, strict=True
        ):
            yield run, key, value, _experiment(run)


def _metrics(runs: int) -> Iterator[tuple[object, ...]]:
    choose = random.Random(2)  # noqa: S311 - repeatable, no secret
    for run in range(1, runs + 1):
        for index in range(WIDTH):
            value = 3.5 + choose.random() * 3
            key = "rmse" if index == 0 else f"m{index}"
            yield (
                run, key, value, START_MS + run * 10, value - 0.2, value + 2, value * 100,
                _experiment(run),
            )  # fmt: skip


if __name__ == "__main__":
    began = time.perf_counter()
    fill(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{time.perf_counter() - began:.1f} s")
