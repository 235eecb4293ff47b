"""Claim: mapped over four threads, a task costs 50 microseconds of CPU, half of Dask's.

Measured: one task mapped over 1,000 elements with ``ThreadExecutor(4)``, CPU of all processes
until every state and result is in the store; the middle of three runs in a
warm process.
Against: each peer's own way to map (200 elements where one takes milliseconds), and the limit: a
pool of four threads.
Fair: Dask's threaded scheduler and the limit keep nothing; Dagster maps in one thread.
Does not show: tasks that do something.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="flow_mapped",
    title="CPU a mapped task over four threads",
    measures=(
        Measure(key="cpu_us", head="CPU, µs", reach=50.0),
        Measure(key="wall_us", head="wall, µs"),
    ),
    peers=("dask", "prefect1", "prefect3", "dagster"),
    limit="concurrent.futures",
    repeats=5,
    peer_repeats=3,
    is_flow=True,
)

if __name__ == "__main__":
    run(CLAIM)
