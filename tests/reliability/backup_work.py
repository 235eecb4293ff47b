"""One of several writers of a store that is backed up meanwhile: batch after batch, until killed.

Every batch says how much of every writer the store had acknowledged when it was made. A state of
the store that has the batch and not what it saw is no state that the store was ever in.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from hashlib import sha256
from pathlib import Path

from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.settings import parse_address

__all__ = ["POINTS", "WRITERS", "content_of", "read_counts", "run_id_of"]

WRITERS = 3
#: Points in each batch.
POINTS = 50
#: What each writer has sent, then what was acknowledged to each.
_COUNTS = struct.Struct(f"<{2 * WRITERS}q")


def run_id_of(writer: int) -> str:
    """Name the run that a writer writes to."""
    return f"{writer:032x}"


def content_of(writer: int, batch: int) -> bytes:
    """Make the file that a batch logs."""
    return f"fares of night {batch} by cab {writer}\n".encode() * 200


def read_counts(counts: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read how many batches each writer has sent, and how many were acknowledged to each."""
    found = _COUNTS.unpack(counts.read_bytes())
    return found[:WRITERS], found[WRITERS:]


def main(uri: str, counts: Path, writer: int, folder: Path) -> None:
    """Write without end, and leave the machine to whoever makes the backup."""
    os.nice(10)
    with counts.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), _COUNTS.size)
    backend = LocalBackend(parse_address(uri))
    run_id, source, number = run_id_of(writer), folder / f"source {writer}", 0
    while True:
        source.write_bytes(content_of(writer, number))
        digest, size = backend.put_blob(source)
        assert digest == sha256(content_of(writer, number)).hexdigest()
        steps = struct.pack(f"<{POINTS}q", *range(number * POINTS, (number + 1) * POINTS))
        values = struct.pack(f"<{POINTS}d", *[number / 2] * POINTS)
        seen = _COUNTS.unpack(shared[:])[WRITERS:]
        facts: list[f.Fact] = [
            f.RunStarted(run_id=run_id, experiment="wagoncab taxifare", start_ms=1000),
            f.MetricPoints(
                run_id=run_id, key="rmse", steps=steps, timestamps_ms=steps, values=values
            ),
            f.ParamsLogged(run_id=run_id, params={f"p{number}": "gbm"}),
            f.TagsSet(run_id=run_id, tags={"seen": " ".join(map(str, seen))}),
            f.ArtifactLogged(
                run_id=run_id, path=f"{number}.txt", sha256=digest, size_bytes=size, at_ms=number
            ),
        ]
        struct.pack_into("<q", shared, 8 * writer, number + 1)
        batch = f.Batch(writer=run_id, start=number, end=number + 1, facts=facts[number > 0 :])
        receipt = backend.send(batch)
        assert (receipt.acknowledged, receipt.refused) == (number + 1, 0)
        number += 1
        struct.pack_into("<q", shared, 8 * (WRITERS + writer), number)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
