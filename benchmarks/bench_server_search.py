"""Claim: a server shows a hundred runs of a hundred thousand five hundred times a second.

Measured: ``runs/search`` for the 100 newest of the 100,000 runs of the search benchmark, with
params, metrics and tags, as JSON, over eight connections: in all ten experiments, and in one of
them, which has a tenth of the runs. Six seconds after one to get warm.
Against: ``mlflow server`` and FastTrackML's server on their stores of the same runs.
Fair: all are asked for the same page again and again, as pages of many people do who look at the
same runs; a server of Loopline remembers what a row says as long as the row is the same.
Does not show: pages that nobody has asked for before, which take Loopline about three times as
much CPU; other searches (see searching 100,000 runs).
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_search",
    title="Runs through MLflow's protocol, the 100 newest of 100,000",
    measures=(
        Measure(key="per_s_all", head="requests a second", reach=500, is_more_better=True),
        Measure(key="p50_ms_all", head="p50, ms", digits=1),
        Measure(key="p99_ms_all", head="p99, ms", reach=40, digits=1),
        Measure(key="cpu_ms_all", head="server CPU, ms"),
        Measure(key="per_s_one", head="requests a second, one experiment", is_more_better=True),
        Measure(key="p99_ms_one", head="p99, ms, one", digits=1),
    ),
    peers=("fasttrackml", "mlflow"),
    peer_repeats=1,
    is_kept=True,
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
