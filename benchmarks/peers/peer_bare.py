"""The physical limit: the same bytes with nothing around them, by Python's standard library.

No names, no checks, no other process may read meanwhile: nobody can be faster, and whoever is
near has little left to save.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import struct
import subprocess
import time
from array import array
from typing import TYPE_CHECKING

from artifact_works import make_file
from protocol import (
    HISTORY_POINTS,
    PARAMS,
    RUN_METRICS,
    call_times,
    died_at,
    log_for_ever,
    main,
    points,
    rate,
    until_durable,
    wall_ms,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A point as a journal has it: kind, key by number, step, time, value.
RECORD = struct.Struct("<BxxxIqqd")
PACK = f"pack(buffer, (step & 1023) * {RECORD.size}, 2, 1, step, 1_700_000_000_000, value)"
WRITE = "write(handle, pack(2, 1, step, 1_700_000_000_000, value))"
COLUMN_BYTES = 8 * HISTORY_POINTS


def log_metric(_: Path) -> dict[str, float]:
    """``struct.pack_into`` a buffer: nothing is kept."""
    names = {"pack": RECORD.pack_into, "buffer": bytearray(1024 * RECORD.size)}
    return call_times(PACK, names, most=1_000_000)


def cpu(folder: Path) -> dict[str, float]:
    """Append each point to an open file through Python's buffer; sync once at the end."""
    file = folder / "points"
    with file.open("wb", buffering=1 << 20) as out:

        def finish() -> None:
            out.flush()
            os.fsync(out.fileno())

        return until_durable(
            "write(pack(2, 1, step, 1_700_000_000_000, value))",
            {"write": out.write, "pack": RECORD.pack},
            finish,
            lambda: file.stat().st_size // RECORD.size,
            most=1_000_000,
        )


def kill(folder: Path) -> None:
    """One ``write`` a point: what the kernel has outlives the process."""
    handle = os.open(folder / "points", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    log_for_ever(folder, WRITE, {"handle": handle, "write": os.write, "pack": RECORD.pack})


def read(folder: Path) -> dict[str, int]:
    """Count whole records."""
    survived = (folder / "points").stat().st_size // RECORD.size
    return {"survived": survived, "in_store_at_death": min(survived, died_at(folder))}


def columns() -> bytes:
    """Make a million points: steps, times, values."""
    choose = random.Random(1)  # noqa: S311 - repeatable, no secret
    steps = array("q", range(HISTORY_POINTS))
    values = array("d", (choose.random() for _ in range(HISTORY_POINTS)))
    return steps.tobytes() + steps.tobytes() + values.tobytes()


def arrays(folder: Path) -> dict[str, float]:
    """Write the columns to a file each and sync it."""
    data = columns()

    def work() -> None:
        for number in range(5):
            with (folder / str(number)).open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())

    work()
    return {"points_per_s": rate(5 * HISTORY_POINTS, work)}


def runs(folder: Path) -> dict[str, float]:
    """One file of JSON a run; all synced together at the end, as one transaction would be."""
    count = 1000

    def work() -> None:
        for number in range(count):
            run = {"name": f"night {number}", "start": time.time(), "params": PARAMS}
            text = json.dumps({**run, "metrics": RUN_METRICS, "end": time.time()})
            (folder / f"{number}.json").write_text(text)
        os.sync()

    return {"runs_per_s": rate(count, work)}


def whole(_: Path) -> None:
    """Do nothing: what Python itself takes."""


def history(folder: Path) -> dict[str, float]:
    """Read the same columns from a file, warm in the page cache."""
    file = folder / "columns"
    file.write_bytes(columns())

    def load() -> object:
        data = file.read_bytes()
        return [
            memoryview(data)[at : at + COLUMN_BYTES].cast("q" if at < 2 * COLUMN_BYTES else "d")
            for at in range(0, 3 * COLUMN_BYTES, COLUMN_BYTES)
        ]

    connection = sqlite3.connect(folder / "rows.db")
    connection.execute("CREATE TABLE point (step, timestamp_ms, value)")
    connection.executemany("INSERT INTO point VALUES (?, 1700000000000, ?)", points(HISTORY_POINTS))
    connection.commit()

    def select() -> object:
        found = connection.execute("SELECT step, timestamp_ms, value FROM point").fetchall()
        return [array(kind, (row[at] for row in found)) for at, kind in enumerate("qqd")]

    return {"whole_1m_ms": wall_ms(load), "sqlite_rows_ms": wall_ms(select, repeats=3)}


def search(folder: Path) -> dict[str, float]:
    """Read 100 documents of 100,000 from an indexed SQLite table, and decode their JSON."""
    return _search(folder, 100_000)


def search_million(folder: Path) -> dict[str, float]:
    """Read 100 documents of 1,000,000."""
    return _search(folder, 1_000_000)


def _search(folder: Path, count: int) -> dict[str, float]:
    connection = sqlite3.connect(folder / f"bare-{count}.db")
    connection.execute("CREATE TABLE IF NOT EXISTS run (pk INTEGER PRIMARY KEY, rmse, data)")
    if not connection.execute("SELECT count(*) FROM run").fetchone()[0]:
        choose = random.Random(1)  # noqa: S311 - repeatable, no secret
        data = json.dumps({"params": PARAMS, "metrics": RUN_METRICS})
        rows = ((pk, choose.random(), data) for pk in range(count))
        connection.executemany("INSERT INTO run VALUES (?, ?, ?)", rows)
        connection.execute("CREATE INDEX by_rmse ON run (rmse)")
        connection.commit()

    def ask(order: str) -> Callable[[], object]:
        statement = f"SELECT data FROM run ORDER BY {order} LIMIT 100"  # noqa: S608 - names from this file
        return lambda: [json.loads(row[0]) for row in connection.execute(statement)]

    return {"newest_ms": wall_ms(ask("pk DESC")), "ordered_ms": wall_ms(ask("rmse"))}


def artifacts(folder: Path) -> dict[str, float]:
    """Copy a file and hash the copy: up and down alike."""
    big = make_file(folder / "big")

    def both() -> None:
        subprocess.run(["cp", big, folder / "copy"], check=True)
        subprocess.run(["sha256sum", folder / "copy"], check=True, stdout=subprocess.DEVNULL)

    took_s = 1 / rate(1, both)
    return dict.fromkeys(("up_s", "down_s", "own_up_s", "own_down_s"), took_s)


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
            "search": search,
            "search_million": search_million,
            "artifacts": artifacts,
        }
    )
