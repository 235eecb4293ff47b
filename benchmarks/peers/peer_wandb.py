"""wandb offline: a service beside the process writes a ``.wandb`` file, to be sent later.

The package has no reader of that file: it is sent to wandb's servers. The records are counted
here by their published format (LevelDB's log) with wandb's own protobuf classes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from protocol import (
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    main,
    rate,
    until_durable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = "log({'rmse': value}, step=step)"
BLOCK = 32_768
HEADER = struct.Struct("<IHB")
FULL, LAST = 1, 4


def start(folder: Path, **given: object) -> Any:  # noqa: ANN401 - imported when it is measured
    """Start a run without the sampling of machines, which is off for all."""
    import wandb

    settings = wandb.Settings(
        x_disable_stats=True, x_disable_machine_info=True, console="off", disable_git=True,
        disable_code=True, x_save_requirements=False,
    )  # fmt: skip
    return wandb.init(
        project="wagoncab", mode="offline", dir=str(folder), settings=settings, **given
    )


def records(file: Path) -> Iterator[bytes]:
    """Read whole records, up to where the file ends or was torn off."""
    data = file.read_bytes()
    at, parts = 7, b""  # Behind the file's own header.
    while at + HEADER.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            at += left
            continue
        _, size, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        if not kind or at + size > len(data):
            return
        parts += data[at : at + size]
        at += size
        if kind in {FULL, LAST}:
            yield parts
            parts = b""


def stored(folder: Path) -> int:
    """Count the points of all runs."""
    from wandb.proto.wandb_internal_pb2 import Record

    count = 0
    for file in folder.glob("wandb/offline-run-*/*.wandb"):
        for data in records(file):
            record = Record.FromString(data)
            if record.HasField("history"):
                keys = [item.key or "".join(item.nested_key) for item in record.history.item]
                count += "rmse" in keys
    return count


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call; the service writes meanwhile."""
    run = start(folder)
    found = call_times(LOG, {"log": run.log}, most=50_000)
    run.finish()
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Until ``finish``; the service's CPU counts."""
    run = start(folder)
    return until_durable(LOG, {"log": run.log}, run.finish, lambda: stored(folder), most=50_000)


def kill(folder: Path) -> None:
    """Log until killed; the service outlives it."""
    log_for_ever(folder, LOG, {"log": start(folder).log})


def read(folder: Path) -> dict[str, int]:
    """Count the points in the file."""
    return {"survived": stored(folder)}


def arrays(folder: Path) -> dict[str, float]:
    """Point by point: it has no other way."""
    run = start(folder)
    run.log({"rmse": 0.0}, step=0)
    count = 30_000

    def work() -> None:
        for step in range(1, count + 1):
            run.log({"rmse": step / 3}, step=step)
        run.finish()

    return {"points_per_s": rate(count, work)}


def runs(folder: Path) -> dict[str, float]:
    """Start with 10 params as config, 10 metrics, finish."""
    start(folder).finish()
    count = 10

    def work() -> None:
        for number in range(count):
            run = start(folder, name=f"night {number}", config=PARAMS, reinit="finish_previous")
            run.log(RUN_METRICS)
            run.finish()

    return {"runs_per_s": rate(count, work)}


def whole(folder: Path) -> None:
    """Import, start, log one point, end."""
    run = start(folder)
    run.log({"rmse": 3.9})
    run.finish()


if __name__ == "__main__":
    main(
        {
            "log_metric": log_metric,
            "cpu": cpu,
            "kill": kill,
            "read": read,
            "arrays": arrays,
            "runs": runs,
            "whole": whole,
        },
        {
            "search": "offline runs are searched on wandb's servers only",
            "frame": "offline runs are searched on wandb's servers only",
            "history": "offline runs are read on wandb's servers only",
        },
    )
