"""Claim: ``log_metric`` costs the loop a few microseconds, whatever the store does.

Measured: one point a call, as the training loop sees it, with validation, lock, checksum and the
length written last; while the drain thread sends to a real SQLite home, and alone.
Against: the physical limit, a bare ``struct.pack_into`` of the same 32 bytes, in the same run.
Fair: CPU time of the calling thread only; what the drain thread costs is the last row.
Does not show: waiting for the interpreter's lock while the drain thread works.
"""

from __future__ import annotations

import os
import struct
import tempfile
import time

from benchmarks.measure import cpu_us, report

import loopline
from loopline.backend.recorder import close_recorders, get_recorder

COUNT = 20_000


def main() -> None:
    """Measure and print."""
    os.environ["LOOPLINE_NO_CAPTURE"] = "1"
    with tempfile.TemporaryDirectory() as home:
        loopline.set_tracking_uri(home)
        run = loopline.start_run()
        recorder = get_recorder()
        buffer = bytearray(40 * COUNT)
        pack = struct.Struct("<BxxxIqqd").pack_into

        def limit() -> None:
            for step in range(COUNT):
                pack(buffer, 40 * step, 2, 1, step, 1_700_000_000_000, 3.9)

        def with_the_drain() -> None:
            for step in range(COUNT):
                loopline.log_metric("rmse", 3.9, step=step)

        def without_it() -> None:
            recorder.flush()
            with recorder.working[0]:  # The thread waits here: nothing is sent meanwhile.
                for step in range(COUNT):
                    run.log_metric("mae", 3.9, step=step)

        results = {
            "struct.pack_into": cpu_us(limit, COUNT),
            "loopline.log_metric, store at work": cpu_us(with_the_drain, COUNT),
            "run.log_metric, store at rest": cpu_us(without_it, COUNT),
        }
        recorder.flush()
        began = time.process_time()
        with_the_drain()
        recorder.flush()
        results["all threads, until durable and readable"] = [
            (time.process_time() - began) / COUNT * 1e6
        ]
        loopline.end_run()
        close_recorders()
    report("log_metric, one point a call", results, limit="struct.pack_into")


if __name__ == "__main__":
    main()
