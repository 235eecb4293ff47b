"""Claim: what is new of ten million rows is found while one waits.

Measured: ``feed.new_for(model)`` with the number of its rows, of a feed of 10,000,000 trips in
DuckDB that a version in Production has seen, after 100,000 more arrived: by the feed's own
sequence, and by key, all of them late (1 %). Wall time and CPU of the process, medians of seven;
reading the rows is timed apart. The limit is what DuckDB takes for the bare question: the count
of the rows behind a number, and an anti join with a table of the known keys.
Fair: the file is opened and closed each time, as other processes have to use it in between, and
the store is asked what the model has seen.
Does not show: rows that lie in a bucket or in BigQuery; keys of text, which take longer.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.records.operations import RegisterVersion
from loopline.records.tracking import Dataset
from loopline.rules.watermarks import source_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.feeds import FeedRows

ROWS, NEW = 10_000_000, 100_000
REPEATS = 7
START_US = 1_640_995_200_000_000


def trips(first: int, stop: int, *, since: int | None = None) -> pa.Table:
    """Make trips, one a second; ``since``: at the times of others that came long before."""
    random = np.random.default_rng(first)
    seconds = np.arange(stop - first) + (first if since is None else since)
    return pa.table(
        {
            "trip_id": np.arange(first, stop),
            "pickup_datetime": pa.array(START_US + seconds * 1_000_000).cast(pa.timestamp("us")),
            "trip_distance": random.gamma(2, 2, stop - first),
            "fare_amount": random.gamma(3, 5, stop - first),
            "zone": random.integers(1, 265, stop - first),
        }
    )


def train(rows: FeedRows, model: str) -> None:
    """Let a version in Production have seen rows, without hashing all of them."""
    seen = Dataset(name=rows.name, digest=model, source=source_text(rows.feed, rows.region))
    with loopline.start_run() as run:
        loopline.log_input(seen, context="training")
    made = RegisterVersion(
        name=model, run_id=run.info.run_id, artifact_path="model", allow_empty=True
    )
    version = get_recorder().call(made).version
    loopline.registry.transition_stage(model, version, "Production")


def measure(name: str, work: Callable[[], object]) -> None:
    """Print the median of wall and CPU time."""
    work()
    walls, cpus = [], []
    for _ in range(REPEATS):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    spread = f"{min(walls):.3f}-{max(walls):.3f}"
    print(f"{name:44}{statistics.median(walls):8.3f} s{spread:>16}{statistics.median(cpus):8.3f} s")


def main() -> None:
    """Fill both feeds, then measure."""
    os.environ["LOOPLINE_NO_CAPTURE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        loopline.set_tracking_uri(Path(folder) / "home")
        own = loopline.Feed("own", order_by="pickup_datetime")
        own.append(trips(0, ROWS))
        train(own.all(), "by sequence")
        own.append(trips(ROWS, ROWS + NEW))

        source = loopline.warehouse(Path(folder) / "source.duckdb")
        source.append("trips", trips(0, ROWS))
        keyed = loopline.Feed(
            "keyed", source, table="trips", order_by="pickup_datetime", key="trip_id"
        )
        train(keyed.all(), "by key")
        source.append("trips", trips(ROWS, ROWS + NEW, since=0))
        began = time.perf_counter()
        keyed.check()
        found = time.perf_counter() - began

        load = os.getloadavg()[0]
        print(f"\n{ROWS:,} rows, {NEW:,} new; load {load:.1f} on {os.cpu_count()} processors")
        print(f"{'':44}{'median':>10}{'range':>16}{'CPU':>10}")
        measure("new_for by sequence (reach 0.5 s)", lambda: _count(own.new_for("by sequence")))
        measure("  reading these rows", lambda: own.new_for("by sequence", check=False).table)
        measure("new_for by key, 1 % late (reach 5 s)", lambda: _count(keyed.new_for("by key")))
        measure("  reading these rows", lambda: keyed.new_for("by key", check=False).table)
        print(f"{'  finding and numbering them, once':44}{found:8.3f} s")
        with loopline.warehouse().reading() as home:
            sql = f"SELECT count(*) FROM own WHERE _loopline_row >= {ROWS}"  # noqa: S608
            measure("limit: bare count behind a number", lambda: home.query(sql))
        source.append("known", source.query(f"FROM trips SELECT trip_id LIMIT {ROWS}"))
        with source.reading():
            bare = (
                "SELECT sum(fare_amount), count(*) AS n FROM trips ANTI JOIN known USING (trip_id)"
            )
            measure("limit: bare anti join", lambda: _count(source.query(bare).rows()[0]["n"]))
        close_recorders()


def _count(rows: FeedRows | int) -> None:
    found = rows if isinstance(rows, int) else len(rows)
    if found != NEW:
        sys.exit(f"{found:,} rows are new, not {NEW:,}.")


if __name__ == "__main__":
    main()
