"""tensorboardX: an event file, written by a thread; read back by its own record format.

It never calls ``fsync``: what it wrote survives the process, not the loss of power.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from protocol import (
    HISTORY_POINTS,
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    main,
    rate,
    until_durable,
    wall_ms,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = "log('rmse', value, step)"


def start(folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
    """Open an event file."""
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder / "events"))


def stored(folder: Path) -> Iterator[tuple[int, float]]:
    """Read the points: records of a length, its checksum, an ``Event`` and its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for file in (folder / "events").glob("events*"):
        data = file.read_bytes()
        at = 0
        while at + 12 <= len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            if at + size + 16 > len(data):
                break  # Torn off by the kill.
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                yield event.step, value.simple_value


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call; its thread writes meanwhile."""
    writer = start(folder)
    found = call_times(LOG, {"log": writer.add_scalar}, most=200_000)
    writer.close()
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Until ``close`` has written all; not synced to disk."""
    writer = start(folder)
    return until_durable(
        LOG, {"log": writer.add_scalar}, writer.close, lambda: sum(1 for _ in stored(folder)),
        most=200_000,
    )  # fmt: skip


def kill(folder: Path) -> None:
    """Log until killed."""
    log_for_ever(folder, LOG, {"log": start(folder).add_scalar})


def read(folder: Path) -> dict[str, int]:
    """Count the points in the event file."""
    return {"survived": sum(1 for _ in stored(folder))}


def fill(folder: Path, count: int) -> None:
    """Log point by point: it has no other way."""
    writer = start(folder)
    for step in range(count):
        writer.add_scalar("rmse", step / 3, step)
    writer.close()


def arrays(folder: Path) -> dict[str, float]:
    """Point by point, not synced."""
    fill(folder / "warm", 1)
    return {"points_per_s": rate(100_000, lambda: fill(folder, 100_000))}


def runs(folder: Path) -> dict[str, float]:
    """Start, 10 params as text, 10 metrics, close; an event file a run."""
    start(folder / "warm").close()
    count = 200

    def work() -> None:
        for number in range(count):
            writer = start(folder / f"night {number}")
            for key, value in PARAMS.items():
                writer.add_text(key, str(value))
            for key, metric in RUN_METRICS.items():
                writer.add_scalar(key, metric, 0)
            writer.close()

    return {"runs_per_s": rate(count, work)}


def whole(folder: Path) -> None:
    """Import, start, log one point, end."""
    writer = start(folder)
    writer.add_scalar("rmse", 3.9, 0)
    writer.close()


def history(folder: Path) -> dict[str, float]:
    """A million points from the event file, to two lists."""
    fill(folder, HISTORY_POINTS)
    return {"whole_1m_ms": wall_ms(lambda: list(zip(*stored(folder), strict=True)), repeats=1)}


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
            "history": history,
        },
        {
            "search": "event files have no search",
            "frame": "event files have no search",
        },
    )
