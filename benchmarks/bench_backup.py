"""Claim: a store with a million metric points is backed up, checked and restored in seconds.

Measured: wall time of ``loopline backup`` as a function call, to a new folder, to the same folder
again and to a tar file; of checking every hash; and of restoring into an empty home or database.
The store: a hundred metrics of 10,000 points with values that hardly compress, and a file each
for a hundred runs.
Against: the promise of 60 seconds.
Fair: the disk is this machine's, with its fsyncs; PostgreSQL's are off, as the tests run it.
Does not show: a store that is written to meanwhile (tests/reliability/test_r15_backup.py does).
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import table
from tests.postgres import PostgresServer

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.restore import check_backup, restore
from loopline.records import facts as f
from loopline.rules.points import Points
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 100
POINTS = 10_000


def fill(backend: LocalBackend, folder: Path) -> None:
    """Put the points and the files into a store."""
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    for number in range(RUNS):
        run_id = f"{number:032x}"
        rows = [(step, 1000 * step, choose.random()) for step in range(POINTS)]
        steps, times, values = Points.from_rows(rows).to_columns()
        source = folder / "model"
        source.write_bytes(choose.randbytes(100_000))
        digest, size = backend.put_blob(source)
        facts: list[f.Fact] = [
            f.RunStarted(run_id=run_id, experiment="wagoncab taxifare", start_ms=number),
            f.MetricPoints(
                run_id=run_id, key="rmse", steps=steps, timestamps_ms=times, values=values
            ),
            f.ArtifactLogged(run_id=run_id, path="m", sha256=digest, size_bytes=size, at_ms=1),
        ]
        backend.send(f.Batch(writer=run_id, start=0, end=len(facts), facts=facts))


def seconds(work: Callable[[], object]) -> float:
    """Time a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(address: Address, empty: Address, folder: Path) -> list[object]:
    """Back a store up and restore it."""
    # Where the files of a store on PostgreSQL lie: they must not be there when it is restored.
    os.environ["HOME"] = str(folder / "user")
    backend = LocalBackend(address)
    fill(backend, folder)
    target, archive = folder / "backup", folder / "backup.tar"
    row: list[object] = [
        "SQLite" if address.kind == "home" else "PostgreSQL",
        seconds(lambda: back_up(backend, target)),
        seconds(lambda: back_up(backend, target)),
        seconds(lambda: back_up(backend, archive)),
        seconds(lambda: check_backup(archive)),
    ]
    backend.close()
    os.environ["HOME"] = str(folder / "new user")
    row.append(seconds(lambda: restore(archive, empty)))
    assert check_backup(archive).counts["metric_points"] == RUNS * POINTS  # noqa: S101
    return row


def main() -> None:
    """Measure and print."""
    server = PostgresServer()
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            homes = [Address("home", f"{folder}/{name}") for name in ("home", "new home")]
            rows.append(measure(*homes, Path(folder)))
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(server.new(), server.new_empty(), Path(folder)))
    finally:
        server.close()
    table(
        f"Seconds for {RUNS * POINTS:,} metric points and {RUNS} files of 100 kB",
        ["store", "to a folder", "again", "to a tar", "check", "restore"],
        rows,
    )


if __name__ == "__main__":
    main()
