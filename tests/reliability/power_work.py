"""Run under strace: makes a store, commits batches and files, and says what was acknowledged."""

from __future__ import annotations

import os
import struct
import sys
from hashlib import sha256
from pathlib import Path

from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.settings import Address

#: Points in each batch.
POINTS = 200


def content_of(number: int) -> bytes:
    """Make the file that a batch logs."""
    return f"fares of night {number}\n".encode() * (100 + 400 * number)


def facts_of(number: int, digest: str) -> list[f.Fact]:
    """Make the facts of a batch."""
    steps = range(number * POINTS, (number + 1) * POINTS)
    points = f.MetricPoints(
        run_id="taxi",
        key="rmse",
        steps=struct.pack(f"<{POINTS}q", *steps),
        timestamps_ms=struct.pack(f"<{POINTS}q", *steps),
        values=struct.pack(f"<{POINTS}d", *(step / 3 for step in steps)),
    )
    begun = [f.RunStarted(run_id="taxi", experiment="wagoncab taxifare", start_ms=1000)]
    return [
        *(begun if number == 0 else []),
        f.ParamsLogged(run_id="taxi", params={f"p{number}": str(number)}),
        points,
        f.ArtifactLogged(
            run_id="taxi",
            path=f"night {number}.txt",
            sha256=digest,
            size_bytes=len(content_of(number)),
            at_ms=number,
        ),
        f.TagsSet(run_id="taxi", tags={"batches": str(number + 1)}),
    ]


def main(home: str, source: str, count: int) -> None:
    """Commit batches, one after the other."""
    backend = LocalBackend(Address("home", home))
    for number in range(count):
        content = content_of(number)
        Path(source).write_bytes(content)
        digest, _ = backend.put_blob(Path(source))
        assert digest == sha256(content).hexdigest()
        facts = facts_of(number, digest)
        receipt = backend.send(f.Batch(writer="w", start=number, end=number + 1, facts=facts))
        assert receipt.acknowledged == number + 1
        assert receipt.refused == 0
        os.write(1, b"a")  # Acknowledged, in the order of all calls.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
