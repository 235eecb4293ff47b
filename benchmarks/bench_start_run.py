"""Claim: ``start_run`` returns in under 5 ms, though the run's whole environment is recorded.

Measured: the first ``start_run`` of fresh processes (it makes the journal and starts the threads)
in a git repository with changes, and 200 further ones in each process, with capture and system
metrics on as they are by default.
Against: the physical limit of a first one, a bare folder with two allocated files of a segment's
size and one started thread, in the same process; and ``start_run`` with both switched off.
Fair: the table is CPU time of the calling thread; wall time, which a busy machine spoils, stands
below it. Imports are done before: they are the script's, not the call's.
Does not show: what the threads cost afterwards, which is the last line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.measure import report

PROCESSES = 15
FURTHER = 200
CLAIM_S = 0.005
OFF = {"LOOPLINE_NO_CAPTURE": "1", "LOOPLINE_SYSTEM_METRICS": "0"}


def bare(folder: Path) -> None:
    """Do what the first start cannot do without."""
    from loopline.journal.stream import SEGMENT_BYTES

    (folder / "bare").mkdir(parents=True)
    for name in ("facts", "logs"):
        handle = os.open(folder / "bare" / name, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(handle, 0, SEGMENT_BYTES)
        os.close(handle)
    threading.Thread(target=time.sleep, args=(0,), daemon=True).start()


def measure_here(home: Path) -> dict[str, list[float]]:
    """Measure in this process, in which nothing was started yet; seconds each."""
    import loopline
    from loopline.tracking.capture import wait_for_captures

    loopline.set_tracking_uri(home)
    loopline.set_experiment("wagoncab taxifare")
    start_run, end_run = loopline.start_run, loopline.end_run
    found: dict[str, list[float]] = {"cpu": [], "wall": []}
    began = (time.thread_time(), time.perf_counter())
    bare(home)
    found["limit"] = [time.thread_time() - began[0]]
    for _ in range(FURTHER + 1):
        began = (time.thread_time(), time.perf_counter())
        start_run()
        found["cpu"].append(time.thread_time() - began[0])
        found["wall"].append(time.perf_counter() - began[1])
        end_run()
    before = time.process_time()
    wait_for_captures()
    found["after"] = [time.process_time() - before]
    return found


def measure_in_process(
    folder: Path, number: int, environment: dict[str, str]
) -> dict[str, list[float]]:
    """Measure in a fresh process, started in a repository."""
    home = folder / f"home-{len(environment)}-{number}"
    done = subprocess.run(
        [sys.executable, __file__, str(home)],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.py").write_text("EPOCHS = 3\n")
        git = ["git", "-C", name, "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Train"]):
            subprocess.run([*git, *words], check=True)
        (folder / "train.py").write_text("EPOCHS = 5\n")
        on = [measure_in_process(folder, number, {}) for number in range(PROCESSES)]
        off = [measure_in_process(folder, number, OFF) for number in range(PROCESSES)]
    rows = {
        "a folder, two files, a thread": [one["limit"][0] for one in on],
        "first start_run": [one["cpu"][0] for one in on],
        "first start_run, capture and metrics off": [one["cpu"][0] for one in off],
        "further start_run": [cpu for one in on for cpu in one["cpu"][1:]],
        "further start_run, capture and metrics off": [
            cpu for one in off for cpu in one["cpu"][1:]
        ],
    }
    micros = {row: [value * 1e6 for value in values] for row, values in rows.items()}
    report("start_run, as the caller feels it", micros, limit="a folder, two files, a thread")
    print()
    for row, walls in (
        ("first", [one["wall"][0] for one in on]),
        ("first, both off", [one["wall"][0] for one in off]),
        ("further", [wall for one in on for wall in one["wall"][1:]]),
        ("further, both off", [wall for one in off for wall in one["wall"][1:]]),
    ):
        walls.sort()
        under = sum(wall < CLAIM_S for wall in walls)
        print(
            f"Wall, {row:18}: median {statistics.median(walls) * 1e3:.2f} ms, "
            f"p99 {walls[int(len(walls) * 0.99)] * 1e3:.2f} ms, "
            f"under 5 ms {under:,} of {len(walls):,}"
        )
    after = statistics.median(one["after"][0] for one in on)
    print(f"\nGathering and recording all of it afterwards: {after * 1e3:.0f} ms of CPU a process.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure_here(Path(sys.argv[1]))))
    else:
        main()
