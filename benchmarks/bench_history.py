"""Claim: a whole history goes in and comes out at the speed of its bytes.

Measured: one million points as arrays until they are durable in a SQLite home; a million points
read to NumPy; ten million drawn as 2,000. Against: the physical limit, the same columns written
to a file and synced, and read again. Does not show: MLflow, whose client takes hours for this.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.measure import table, wall_ms

from loopline.backend.local import LocalBackend
from loopline.records.facts import Batch, Fact, MetricPoints, RunStarted
from loopline.records.operations import GetMetricColumns
from loopline.settings import Address

POINTS = 1_000_000


def columns(start: int) -> tuple[bytes, bytes, bytes]:
    """Make a million points as a training loop would: steps in a row, noisy values."""
    steps = np.arange(start, start + POINTS, dtype="<i8")
    values = np.random.default_rng(start).random(POINTS)
    return steps.tobytes(), (1_700_000_000_000 + steps // 3).tobytes(), values.tobytes()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        backend = LocalBackend(Address("home", str(Path(folder) / "home")))
        at = 0

        def send(*facts: Fact) -> None:
            nonlocal at
            batch = Batch(writer="0" * 32, start=at, end=at + len(facts), facts=list(facts))
            backend.send(batch)
            at += len(facts)

        def points(key: str, start: int) -> MetricPoints:
            steps, times, values = columns(start)
            return MetricPoints(
                run_id="run", key=key, steps=steps, timestamps_ms=times, values=values
            )

        send(RunStarted(run_id="run", start_ms=1), points("warm", 0))
        ready = [points(f"loss {number}", number) for number in range(5)]
        began = time.perf_counter()
        for each in ready:
            send(each)
        durable_s = (time.perf_counter() - began) / len(ready)
        for start in range(10):
            send(points("long", start * POINTS))
        raw = b"".join(columns(0))
        file = Path(folder) / "raw"

        def write() -> None:
            with file.open("wb") as out:
                out.write(raw)
                out.flush()
                os.fsync(out.fileno())

        def read(key: str, most: int = 0) -> None:
            call = GetMetricColumns(run_id="run", key=key, max_points=most)
            np.frombuffer(backend.call(call).values)

        limit_ms, reading_ms = wall_ms(write), wall_ms(file.read_bytes)
        rows: list[list[object]] = [
            ["1,000,000 points until durable", durable_s * 1e3, limit_ms],
            ["1,000,000 points to NumPy", wall_ms(lambda: read("loss 1")), reading_ms],
            ["10,000,000 points to 2,000", wall_ms(lambda: read("long", 2_000)), ""],
        ]
        backend.close()
    table("Histories as arrays", ["milliseconds", "Loopline", "bare file"], rows)
    print(f"\n{POINTS / durable_s / 1e6:.1f} million points a second until durable")


if __name__ == "__main__":
    main()
