"""Claim: runs cost little, too: start, 10 params, 10 metrics, end, five hundred times a second.

Measured: runs one after the other in one process, until all of it is durable; the first, which
makes the store, is left out.
Against: each peer's own start and end, params as its makers offer them (trackio's and wandb's
``config``, tensorboardX's text); and the limit, a JSON file a run, all synced together.
Fair: sampling of the machine and capture of the environment are off for all, as both are done once
a process and in the background. Loopline, MLflow and FastTrackML sync; trackio commits to SQLite;
tensorboardX, DVCLive and wandb leave files to the kernel; Aim's runs are not yet indexed.
Does not show: many processes that each make one run (see whole process).
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="runs",
    title="Runs a second: start, 10 params, 10 metrics, end",
    measures=(
        Measure(key="runs_per_s", head="runs a second", reach=500, is_more_better=True, digits=1),
    ),
    limit="a JSON file a run",
)

if __name__ == "__main__":
    run(CLAIM)
