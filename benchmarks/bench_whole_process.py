"""Claim: a process that logs one point is over in 0.3 seconds and takes 30 MB.

Measured: a whole process from outside: start of Python, import, start of a run, one point, end of
the run and of the process, on a fresh store; and the greatest memory of the process itself
(``VmHWM``).
Against: each peer's same few lines; and the limit, a Python that does nothing.
Fair: compiled modules are in place, for the first process of each is not the only one; sampling of
the machine and capture of the environment are off for all.
Does not show: memory of services beside the process (wandb has one); FastTrackML, which needs a
server besides. Why Loopline misses it: the first process of a home makes the store, and the import
of SQLAlchemy alone takes 28 MB and 0.15 seconds. Later ones do without (see a flow of one task).
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="whole",
    title="A whole process: import, start, log one point, end",
    measures=(
        Measure(key="wall_s", head="seconds", reach=0.3),
        Measure(key="mb", head="MB", reach=30, above_bare=True, digits=1),
    ),
    limit="bare Python",
    repeats=5,
    peer_repeats=5,
)

if __name__ == "__main__":
    run(CLAIM)
