"""Claim: mapped on a Dask cluster, a task costs at most a quarter more than Dask itself does.

Measured: one task mapped over 1,000 elements with ``DaskExecutor`` on a local cluster of two
processes that is there already, CPU of all processes, cluster included, until every state and
result is in the store; the middle of three runs in a
warm process.
Against: the limit, a ``client.submit`` for each element and one ``gather``, which keep nothing.
Fair: the same Dask, the same cluster. The executor sends in batches, which raw code could, too.
Does not show: large results, which stay on the cluster.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="flow_cluster",
    title="CPU a mapped task on a Dask cluster",
    measures=(
        Measure(key="cpu_us", head="CPU, µs", most_times_bare=1.25),
        Measure(key="wall_us", head="wall, µs"),
    ),
    peers=(),
    limit="client.submit",
    repeats=5,
    is_flow=True,
)

if __name__ == "__main__":
    run(CLAIM)
