"""Claim: a whole process that runs a flow of one task takes 0.2 s, a warm one 5 ms.

Measured: wall time of ``python one.py``, its imports, its flow and its end with everything durable
in the store's file, in a home that is there already; the median of 20 runs of such a flow in a
process that has run one; and what the next look into the store takes longer, because it takes in
what the script has handed in.
Against: each peer's smallest flow, and the limit: a Python that does nothing.
Fair: Prefect 3 starts a server for itself, which is what it does when none is given. Compiled
modules are in place for all, by a run of the script before.
Does not show: flows that import something.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="flow_whole",
    title="A flow of one task: whole process, and warm",
    measures=(
        Measure(key="whole_s", head="process, s", reach=0.2),
        Measure(key="warm_ms", head="warm, ms", reach=5.0),
        Measure(key="look_ms", head="next look, ms more", reach=20.0, is_compared=False),
    ),
    peers=("prefect1", "prefect3", "dagster"),
    limit="python -c pass",
    repeats=5,
    peer_repeats=3,
    is_flow=True,
)

if __name__ == "__main__":
    run(CLAIM)
