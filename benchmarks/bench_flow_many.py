"""Claim: 100,000 mapped tasks take ten times as long as 10,000, in 150 MB more than 1,000.

Measured: one task mapped over 1,000, 10,000 and 100,000 elements with ``ThreadExecutor(4)``, each
in a process of its own: wall time until every state is in the store, and the most memory.
Against: nobody; peers take minutes.
Fair: the first run of each process.
Does not show: results that are large.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="flow_many",
    title="100,000 mapped tasks",
    measures=(
        Measure(key="more_mb", head="MB above 1,000 tasks", reach=150.0, digits=0),
        Measure(key="times_ten", head="times the wall of 10,000", digits=1),
        Measure(key="wall_s", head="wall, s", digits=1),
    ),
    peers=(),
    is_flow=True,
)

if __name__ == "__main__":
    run(CLAIM)
