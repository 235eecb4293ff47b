"""Dask's threaded scheduler: a graph at once, of which nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask
from flow_works import TASKS, per_task
from protocol import main

if TYPE_CHECKING:
    from pathlib import Path


def following(value: int) -> int:
    """Do next to nothing."""
    return value + 1


def flow_chain(_: Path) -> dict[str, float]:
    """A chain of delayed calls, which it must not fuse into one."""
    call = dask.delayed(following)

    def chain() -> None:
        value = call(0)
        for _ in range(TASKS - 1):
            value = call(value)
        value.compute(scheduler="threads", num_workers=4, optimize_graph=False)

    return per_task(chain)


def flow_mapped(_: Path) -> dict[str, float]:
    """Delayed calls side by side."""
    call = dask.delayed(following)
    return per_task(
        lambda: dask.compute(
            *[call(value) for value in range(TASKS)], scheduler="threads", num_workers=4
        )
    )


if __name__ == "__main__":
    main({"flow_chain": flow_chain, "flow_mapped": flow_mapped})
