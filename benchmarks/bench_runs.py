"""Claim: runs cost little, too: start, 10 params, 10 metrics, end, five hundred times a second.

Measured: until all of it is durable in a SQLite home, with capture of the environment off (it is
done once a process, in the background). Against: MLflow on SQLite (``--peer PYTHON``) in the
same run; and a bare interpreter, for the whole process from import to exit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ask_peer, table

COUNT = 500
RUNS = """
import sys, time
import loopline
loopline.set_tracking_uri(sys.argv[1])
loopline.set_experiment("runs")
with loopline.start_run():
    pass
from loopline.backend.recorder import get_recorder
get_recorder().flush()
began = time.perf_counter()
for number in range({count}):
    with loopline.start_run(run_name=f"night {{number}}"):
        loopline.log_params({{f"p{{i}}": i for i in range(10)}})
        loopline.log_metrics({{f"m{{i}}": i / 3 for i in range(10)}})
get_recorder().flush()
print({count} / (time.perf_counter() - began))
"""
WHOLE = """
import sys
import loopline
loopline.set_tracking_uri(sys.argv[1])
with loopline.start_run():
    loopline.log_metric("rmse", 3.9)
"""


def run(code: str, folder: str) -> tuple[str, float, float]:
    """Run a script; return what it printed, seconds, and its greatest memory in MB."""
    began = time.perf_counter()
    environment = {**os.environ, "LOOPLINE_NO_CAPTURE": "1", "LOOPLINE_SYSTEM_METRICS": "0"}
    code += (
        "\nimport resource, sys\n"
        "sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    return done.stdout, time.perf_counter() - began, int(done.stderr) / 1024


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        ours = max(float(run(RUNS.format(count=COUNT), f"{folder}/{n}")[0]) for n in range(3))
        whole = [run(WHOLE, str(Path(folder) / "whole"))[1:] for _ in range(5)]
        bare = [run("pass", folder)[1:] for _ in range(5)]
    peer = ask_peer("runs").get("runs a second")
    table(
        "Runs a second, durable",
        ["", "Loopline", "MLflow", "ratio"],
        [["runs a second", ours, peer or "", f"{ours / peer:.0f}x" if peer else ""]],
    )
    table(
        "A whole process: import, start, log one point, end",
        ["", "Loopline", "bare Python"],
        [
            ["seconds", min(s for s, _ in whole), min(s for s, _ in bare)],
            ["MB", min(mb for _, mb in whole), min(mb for _, mb in bare)],
        ],
    )


if __name__ == "__main__":
    main()
