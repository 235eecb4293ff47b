"""Claim: a model is logged and registered in at most 3 requests, loaded in 2, and again in 1.

Measured: the same scikit-learn model (a forest of some megabytes) logged with registration and
loaded by its stage, by Loopline's client and by MLflow's, each ten times in a process of its own,
against one `loopline server`, through a proxy that counts requests. Wall seconds are medians.
Against: MLflow 3.17.2 (`.venvs/mlflow-3`, made by `make environment-deep`).
Fair: both clients pass the same proxy and server, in turn; MLflow logs without an input example,
and each load goes to a folder that is empty at first, as on a machine that serves.
Does not show: what a network adds, which is the number of requests times its round trip.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server.counting import counting
from tests.server.running import running

from loopline.settings import Address

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".venvs" / "mlflow-3" / "bin" / "python"
TIMES = 10

WORK = """
import json, sys, time
import numpy as np
from sklearn.ensemble import RandomForestRegressor

library, url, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
if library == "loopline":
    import loopline as tracker
    from loopline import registry
    from loopline.tracking.capture import wait_for_captures
    load = tracker.load_model
    promote = lambda number: registry.transition_stage(library, number, "Production")
else:
    import mlflow as tracker
    load = tracker.sklearn.load_model
    client = tracker.MlflowClient(url)
    promote = lambda number: client.transition_model_version_stage(
        library, str(number), "Production", archive_existing_versions=True)
tracker.set_tracking_uri(url)
tracker.set_experiment(library)
miles = np.random.default_rng(7).uniform(0.5, 20.0, (3000, 4))
model = RandomForestRegressor(40, random_state=0).fit(miles, miles.sum(axis=1))
found = {"log and register": [], "load": [], "load again": []}


def measured(what, work):
    print("begin", what, flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    work()
    found[what].append(time.perf_counter() - began)
    print("end", what, flush=True)
    sys.stdin.readline()


def logged():
    tracker.sklearn.log_model(
        model, "model", registered_model_name=library,
        skops_trusted_types=["sklearn.tree._tree.Tree"])


for number in range(1, times + 1):
    with tracker.start_run():
        if library == "loopline":
            wait_for_captures()  # The run's environment goes to the server by itself, once.
            tracker.flush()
        measured("log and register", logged)
    if library == "loopline":
        tracker.flush()
    promote(number)
    for what in ("load", "load again"):
        measured(what, lambda: load(f"models:/{library}/Production"))
print("done", json.dumps(found), flush=True)
"""


def measure(library: str, python: Path, url: str, requests: list[str]) -> dict[str, list[float]]:
    """Run one client; return requests and seconds of each kind of work, one a time."""
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        (Path(folder) / ".loopline").mkdir()
        process = subprocess.Popen(
            [str(python), "-W", "ignore", "-c", WORK, library, url, str(TIMES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "LOOPLINE_SYSTEM_METRICS": "0", "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101
        counts: dict[str, list[float]] = {}
        began = 0
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "begin":
                began = len(requests)
            elif word == "end":
                passed = [each for each in requests[began:] if not each.endswith("/heartbeat")]
                counts.setdefault(f"requests: {rest}", []).append(len(passed))
            elif word == "done":
                counts |= {f"seconds: {what}": took for what, took in json.loads(rest).items()}
                break
            else:
                continue
            process.stdin.write("\n")
            process.stdin.flush()
        _, said = process.communicate()
    if process.returncode:
        sys.exit(f"{library} failed:\n{said}")
    return counts


def main() -> None:
    """Print requests and seconds of both clients, and their ratios."""
    if not PEER.exists():
        sys.exit(f"There is no {PEER}. Make it: make environment-deep")
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        home = Address("home", str(Path(folder) / "home"))
        with running(home) as target, counting(target) as passed:
            ours = measure("loopline", Path(sys.executable), passed.url, passed.requests)
            theirs = measure("mlflow", PEER, passed.url, passed.requests)
    print(f"Load at the end: {os.getloadavg()[0]:.1f}; medians of {TIMES}\n")
    print(f"{'':32}{'Loopline':>10}{'MLflow':>10}{'ratio':>8}")
    for what, values in ours.items():
        mine, peer = statistics.median(values), statistics.median(theirs[what])
        print(f"{what:32}{mine:10.3g}{peer:10.3g}{peer / mine:8.1f}")


if __name__ == "__main__":
    main()
