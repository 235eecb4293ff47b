"""Claim: the drift report of a million rows of twenty columns takes at most 3 s, in flat memory.

Measured: wall and CPU seconds of ``lifecycle.drift`` between two Parquet files, numbers, times and
text among their columns, of 100,000 rows and of ten times as many; growth of the process's memory
over both. Beside it: reading both files with pyarrow, which is the least that it can take.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path


def write(path: Path, rows: int, seed: int) -> None:
    """Write 14 columns of numbers, 2 of times and 4 of text."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(seed)
    columns = {f"number {n}": random.normal(size=rows) for n in range(14)}
    moments = np.datetime64("2022-01-01T00:00:00") + random.integers(0, 10**7, size=rows)
    columns |= {f"time {n}": moments for n in range(2)}
    for n in range(4):
        names = np.array([f"zone {z}" for z in range(10 ** (n + 1) // 2)])
        columns[f"text {n}"] = random.choice(names, size=rows)
    parquet.write_table(pa.table(columns), path, row_group_size=100_000)


def main() -> None:
    """Measure."""
    from pyarrow import parquet

    from loopline.lifecycle import drift

    with tempfile.TemporaryDirectory() as folder:
        for rows in (100_000, 1_000_000):
            paths = [Path(folder) / f"{rows}-{seed}.parquet" for seed in (1, 2)]
            for seed, path in enumerate(paths):
                write(path, rows, seed)
            began, cpu = time.perf_counter(), time.process_time()
            report = drift(*paths)
            took = time.perf_counter() - began, time.process_time() - cpu
            began = time.perf_counter()
            for path in paths:
                with parquet.ParquetFile(path) as file:
                    for _ in file.iter_batches(batch_size=1 << 17):
                        pass
            read = time.perf_counter() - began
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            sys.stdout.write(
                f"{rows:>9,} rows x 20: {took[0]:.2f} s wall, {took[1]:.2f} s CPU; reading alone "
                f"{read:.2f} s; process at most {most:.0f} MB; {len(report.drifted)} drifted; "
                f"load {os.getloadavg()[0]:.1f}\n"
            )


if __name__ == "__main__":
    main()
