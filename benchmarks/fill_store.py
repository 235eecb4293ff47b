"""Fills a store in bulk, straight into its tables: a hundred thousand runs would take an hour else.

Every run has ``WIDTH`` metrics and params; one experiment in ten runs, values that look like a
hyper-parameter search: ``lr`` with many values, ``model`` with three, metrics without ties.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
import time
from hashlib import sha256
from pathlib import Path

import loopline.store
from loopline.backend.local import LocalBackend
from loopline.settings import Address
from loopline.store.documents import MetricEntry, RunDocument, encode

__all__ = ["EXPERIMENTS", "WIDTH", "fill"]

EXPERIMENTS = 10
WIDTH = 10
START_MS = 1_672_531_200_000
MODELS = ("gbm", "keras", "linear")
#: Runs written with one statement each table.
TOGETHER = 10_000

_INSERTS = {
    "ll_run": "(pk, run_id, experiment_id, name, status, lifecycle, start_ms, end_ms,"
    " duration_ms, user, ended_by) VALUES (?,?,?,?,'FINISHED','active',?,?,1000,'vera','owner')",
    "ll_param": "(run_pk, key, value, experiment_id, lifecycle) VALUES (?,?,?,?,'active')",
    "ll_tag": "(run_pk, key, value, experiment_id, lifecycle) VALUES (?,?,?,?,'active')",
    "ll_metric": "(run_pk, key, value, is_nan, step, timestamp_ms, min, max, sum, finite, points,"
    " first_step, last_step, experiment_id, lifecycle)"
    " VALUES (?,?,?,0,99,?,?,?,?,100,100,0,99,?,'active')",
    "ll_run_document": "(run_pk, data) VALUES (?,?)",
}


def fill(home: Path, runs: int) -> Path:
    """Make a home with this many runs, unless it is there already; return it."""
    done = f"filled-{runs}-{_schema()}"
    if (home / done).exists():
        return home
    # Made beside it and then renamed: one that was interrupted looks like none.
    making = home.with_name(f"{home.name}.{os.getpid()}")
    LocalBackend(Address("home", str(making))).close()
    connection = sqlite3.connect(making / "loopline.db", isolation_level=None)
    for statement in ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "BEGIN"):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO ll_experiment (id, name, lifecycle, created_ms, updated_ms)"
        " VALUES (?, ?, 'active', ?, ?)",
        [(e, f"search {e}", START_MS, START_MS) for e in range(1, EXPERIMENTS + 1)],
    )
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    for start in range(1, runs + 1, TOGETHER):
        rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in _INSERTS}
        for run in range(start, min(start + TOGETHER, runs + 1)):
            _add(rows, run, choose)
        for table, insert in _INSERTS.items():
            connection.executemany(f"INSERT INTO {table} {insert}", rows[table])
    connection.execute("COMMIT")
    connection.close()
    (making / done).touch()
    shutil.rmtree(home, ignore_errors=True)
    making.rename(home)
    return home


def _schema() -> str:
    """Tell one schema from another: a store kept from before a change is filled anew."""
    store = Path(loopline.store.__file__).parent
    files = [store / "schema.py", store / "documents.py", *store.glob("migrations/versions/*.py")]
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


def _add(rows: dict[str, list[tuple[object, ...]]], run: int, choose: random.Random) -> None:
    experiment, start_ms, name = run % EXPERIMENTS + 1, START_MS + run * 10, f"night {run}"
    rows["ll_run"].append((run, f"{run:032x}", experiment, name, start_ms, start_ms + 1000))
    params = {"model": MODELS[run % 3], "lr": f"{choose.random():.6f}"}
    params |= {f"p{index}": str(choose.randrange(100)) for index in range(2, WIDTH)}
    rows["ll_param"] += [(run, key, value, experiment) for key, value in params.items()]
    tags = {"mlflow.runName": name}
    rows["ll_tag"] += [(run, key, value, experiment) for key, value in tags.items()]
    metrics = {}
    for index in range(WIDTH):
        value = 3.5 + choose.random() * 3
        key = f"m{index}" if index else "rmse"
        least, most, total = value - 0.2, value + 2, value * 100
        rows["ll_metric"].append((run, key, value, start_ms, least, most, total, experiment))
        metrics[key] = MetricEntry(value, 99, start_ms, least, most, total, 100, 100, 0, 99, 1)
    rows["ll_run_document"].append((run, encode(RunDocument(params, tags, metrics))))


if __name__ == "__main__":
    began = time.perf_counter()
    fill(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{time.perf_counter() - began:.1f} s")
