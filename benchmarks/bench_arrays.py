"""Claim: a whole history goes in at five million points a second.

Measured: finished histories, as of a training that kept its losses in arrays, until they are
durable: five of a million points for Loopline, 20,000 to 100,000 points for a peer.
Against: the widest way in that a peer has: MLflow's and FastTrackML's ``log_batch`` of 1,000
points, the bulk call of trackio's storage, point by point for the others; and the limit, the same
columns written to five files, each synced.
Fair: arrays and lists are ready before; the peers need not sync where they do not by themselves.
Does not show: peers with longer histories; those of MLflow grow slower with length.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="arrays",
    title="Whole histories as arrays, points a second until durable",
    measures=(
        Measure(
            key="points_per_s",
            head="points a second",
            reach=5_000_000,
            is_more_better=True,
            digits=0,
        ),
    ),
    limit="files of columns, synced",
)

if __name__ == "__main__":
    run(CLAIM)
