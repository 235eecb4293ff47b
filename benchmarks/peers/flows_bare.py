"""The limit of a flow: ``concurrent.futures`` and raw Dask, which keep nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from flow_works import TASKS, per_task
from protocol import main

if TYPE_CHECKING:
    from pathlib import Path


def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


def flow_chain(_: Path) -> dict[str, float]:
    """Hand each result of one thread to its next call."""
    with ThreadPoolExecutor(1) as pool:

        def chain() -> None:
            value = 0
            for _ in range(TASKS):
                value = pool.submit(following, value).result()

        return per_task(chain)


def flow_mapped(_: Path) -> dict[str, float]:
    """Map over four threads."""
    with ThreadPoolExecutor(4) as pool:

        def mapped() -> None:
            for each in [pool.submit(following, value) for value in range(TASKS)]:
                each.result()

        return per_task(mapped)


def flow_cluster(_: Path) -> dict[str, float]:
    """Submit each call to a local Dask cluster, and gather."""
    import distributed

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made,
        distributed.Client(made) as client,
    ):
        return per_task(
            lambda: client.gather(
                [client.submit(following, value, pure=False) for value in range(TASKS)]
            )
        )


def flow_whole(_: Path) -> dict[str, float]:
    """Start a Python that does nothing."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return {"whole_s": time.perf_counter() - began}


if __name__ == "__main__":
    main({
        "flow_chain": flow_chain, "flow_mapped": flow_mapped,
        "flow_cluster": flow_cluster, "flow_whole": flow_whole,
    })  # fmt: skip
