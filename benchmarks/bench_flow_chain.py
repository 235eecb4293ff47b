"""Claim: a task of a flow costs 40 microseconds of CPU, with every state durable.

Measured: a chain of 1,000 no-op tasks through ``flow.run()`` in an embedded home, CPU of all
processes until every state and result is in the store; and one of 10,000, a task. The middle of
three runs in a warm process, so that imports and the first opening of the store are not in it.
Against: the same chain through each peer (200 tasks where one takes milliseconds), and the limit:
a one-thread pool that is handed each result by its caller.
Fair: Prefect 3 and Dagster keep states, too; Prefect 1 without its backend, Dask and the limit
keep nothing.
Does not show: tasks that do something.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="flow_chain",
    title="CPU a task of a chain, states durable",
    measures=(
        Measure(key="cpu_us", head="CPU, µs", reach=40.0, most_times_bare=2.5),
        Measure(key="wall_us", head="wall, µs"),
        Measure(key="long_cpu_us", head="CPU at 10,000 tasks, µs", is_compared=False),
    ),
    peers=("dask", "prefect1", "prefect3", "dagster"),
    limit="concurrent.futures",
    repeats=5,
    peer_repeats=3,
    is_flow=True,
)

if __name__ == "__main__":
    run(CLAIM)
