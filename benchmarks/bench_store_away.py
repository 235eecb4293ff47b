"""Claim: what a call costs the loop does not depend on its server: below 1 ms (p99) and 50 ms.

Measured: wall time of each ``log_metric``, ``log_param`` and ``set_tag`` of a training, 4,080 calls
without a pause, while its server is there, absent, hanging and refusing; the slowest of three
trainings. And ``log_artifact`` of 50 MB while the server is absent.
Against: the promise for the calls; for the file a copy and a SHA-256 in the same run.
Fair: a process of its own each time, with its first call and the thread that sends; the machine
does nothing else, or the maximum is that of its scheduler.
Does not show: what the end of the process waits for, which is bounded
(tests/reliability/test_r4_store_away.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import table
from tests.reliability.serving import ServerProcess
from tests.reliability.test_r4_store_away import absent, hanging, refusing, start_training

TRAININGS = 3
FILE_BYTES = 50_000_000
FILE = """
import sys, time
import loopline
with loopline.start_run():
    loopline.log_metric("rmse", 3.9)
    began = time.perf_counter()
    loopline.log_artifact(sys.argv[1])
    print(time.perf_counter() - began, flush=True)
"""


def row(what: str, url: str) -> list[object]:
    """Run trainings and tell how long the slowest one's calls took, in milliseconds."""
    said = [train(url) for _ in range(TRAININGS)]
    return [what, *(f"{max(each[name] for each in said):.3f}" for name in ("p99_ms", "max_ms"))]


def train(url: str) -> dict[str, float]:
    """Run a training and tell what its calls took."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOOPLINE_HOME"] = f"{folder}/.loopline"
        training = start_training(Path(folder), url)
        output, errors = training.communicate()
    assert training.returncode == 0, errors  # noqa: S101
    said: dict[str, float] = json.loads(output)
    return said


def log_a_file(url: str) -> tuple[float, float]:
    """Log a file, and copy and hash one; tell the milliseconds of both."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model"
        source.write_bytes(os.urandom(FILE_BYTES))
        began = time.perf_counter()
        shutil.copyfile(source, f"{source} copied")
        with source.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        limit = time.perf_counter() - began
        environment = {
            **os.environ,
            "LOOPLINE_URI": url,
            "LOOPLINE_HOME": f"{folder}/.loopline",
            "LOOPLINE_NO_CAPTURE": "1",
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FILE, source],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
    return float(done.stdout) * 1e3, limit * 1e3


def main() -> None:
    """Measure and print."""
    os.environ["LOOPLINE_SYSTEM_METRICS"] = "0"
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(folder, Path(folder))
        with server:
            rows.append(row("there", server.url))
    port = int(server.url.rpartition(":")[2])
    for trouble in (absent, hanging, refusing):
        with trouble(port):
            rows.append(row(trouble.__name__, server.url))
    table("Milliseconds a call", ["server", "p99", "max"], rows)
    took, limit = log_a_file(server.url)
    table(
        f"Milliseconds for a file of {FILE_BYTES // 10**6} MB, server absent",
        ["log_artifact", "copy and SHA-256"],
        [[took, limit]],
    )


if __name__ == "__main__":
    main()
