"""Claim: a server takes half a million points a second in MLflow's batches.

Measured: ``runs/log-batch`` with 1,000 points, the most it takes, over four connections, each with
a run of its own: a hundred steps of ten metrics, as of a training that logs now and then, and one
step of a thousand metrics, as of a model with a thousand layers. Six seconds after one to get
warm; the last point of every run must be there afterwards.
Against: ``mlflow server`` and FastTrackML's server, on SQLite files on the same disk.
Fair: as with one point a request. A thousand metrics are a thousand rows of what is searched,
which every server has to change.
Does not show: Loopline's own client, which sends columns and not JSON (see whole histories).
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_log_batch",
    title="Points through MLflow's protocol, a thousand a request",
    measures=(
        Measure(
            key="points_per_s_10",
            head="points a second, ten metrics",
            reach=500_000,
            is_more_better=True,
        ),
        Measure(key="cpu_us_10", head="server CPU a point, µs"),
        Measure(key="p99_ms_10", head="p99, ms", digits=1),
        Measure(
            key="points_per_s_1000", head="points a second, a thousand metrics", is_more_better=True
        ),
        Measure(key="cpu_us_1000", head="server CPU a point, µs, thousand"),
        Measure(key="p99_ms_1000", head="p99, ms, thousand", digits=1),
    ),
    peers=("fasttrackml", "mlflow"),
    peer_repeats=1,
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
