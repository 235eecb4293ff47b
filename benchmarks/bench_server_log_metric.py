"""Claim: a server takes a point in 0.1 ms of CPU, synced, and ten thousand a second.

Measured: MLflow's ``runs/log-metric``, one point a request, over 8 and over 64 connections that
are kept alive, each with a run of its own and the next request as soon as the last is answered;
six seconds after one to get warm, once the server is at rest. CPU is that of all processes of the
server. Afterwards every run must have the point that was acknowledged last. The load comes from
one process with raw sockets (``peers/load.py``), which takes some ten microseconds a request.
Against: ``mlflow server`` and FastTrackML's server, on SQLite files on the same disk.
Fair: acknowledged means synced to disk for Loopline and MLflow (``synchronous=FULL``);
FastTrackML's own settings rule it. Putting points from the inbox where they belong is part of the
CPU.
Does not show: clients on other machines; MLflow's client, which takes a millisecond a call itself;
slower disks, on which larger groups share a sync.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_log_metric",
    title="Points through MLflow's protocol, one a request",
    measures=(
        Measure(
            key="per_s_8",
            head="requests a second, 8 connections",
            is_more_better=True,
            times=(("fasttrackml", 5), ("mlflow", 100)),
        ),
        Measure(key="p50_ms_8", head="p50, ms"),
        Measure(key="p99_ms_8", head="p99, ms"),
        Measure(
            key="cpu_ms_8",
            head="server CPU a request, ms",
            reach=0.1,
            digits=3,
            times=(("fasttrackml", 5), ("mlflow", 50)),
        ),
        Measure(key="per_s_64", head="requests a second, 64 connections", is_more_better=True),
        Measure(key="p99_ms_64", head="p99, ms, 64"),
        Measure(key="cpu_ms_64", head="server CPU, ms, 64", reach=0.1, digits=3),
        Measure(key="memory_mb", head="MB afterwards", digits=1),
    ),
    peers=("fasttrackml", "mlflow"),
    peer_repeats=3,
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
