"""Claim: a point costs four microseconds of CPU on its whole way, all processes together.

Measured: user and system time from the first call until every point is durable and can be read, of
the process and of everything that came from it: threads, children, services and servers
(``getrusage``, and ``/proc`` for those alive, to 10 ms each). Points are logged one a call, up to
1,000,000 (peers: 20,000 to 200,000) or four seconds' worth, after 200 to get warm; then comes what
makes them readable: ``flush``, ``close``, ``finish``, for Aim its index too. They are counted
through each one's reader afterwards: one that is missing fails the measurement.
Against: each peer, and the limit: packing and appending to one open file, synced once.
Fair: durable means synced to disk for Loopline, MLflow and the limit; SQLite's own settings rule
trackio and FastTrackML. tensorboardX, DVCLive and wandb never sync: theirs survives the process
only, and their numbers have that advantage.
Does not show: start and end of the process (see whole process).
"""

from __future__ import annotations

from benchmarks.claims import ALL, Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="cpu",
    title="CPU a point, until it is durable and readable, all processes together",
    measures=(
        Measure(key="cpu_us", head="CPU, µs", reach=4.0),
        Measure(key="wall_us", head="wall, µs"),
        Measure(key="points", head="points", digits=0, is_compared=False),
    ),
    peers=(*ALL, "mlflow-async", "fasttrackml-async"),
    limit="one file, synced once",
)

if __name__ == "__main__":
    run(CLAIM)
