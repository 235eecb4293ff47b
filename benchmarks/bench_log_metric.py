"""Claim: ``log_metric`` costs a training loop a microsecond, whatever the store does.

Measured: one point a call as the loop feels it: for Loopline with validation, the stream's lock,
the checksum and the length written last, while the drain thread sends to a real SQLite home as
always. Each process makes 200 calls to get warm, then up to 1,000,000 (peers: 200,000;
asynchronous ones 3,000) or four seconds' worth; 50th and 99th percentile of ``perf_counter_ns``
around each call, less the median of two readings with nothing between them.
Against: each peer's own call for one point; and the physical limit, ``struct.pack_into`` of the
same 32 bytes, which keeps nothing.
Fair: the same loop for all, and every call has its own value. Background work is on, as each
peer's makers set it; sampling of the machine and capture of the environment are off for all.
Does not show: what the call leaves for other threads and processes to do (see CPU a point), nor
what is lost when the process is killed (see points lost), nor a loop that does other work between
calls, in which background threads find time.
"""

from __future__ import annotations

from benchmarks.claims import ALL, Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="log_metric",
    title="log_metric, one point a call",
    measures=(
        Measure(key="p50_us", head="p50, µs", reach=1.0, most_times_bare=12),
        Measure(key="p99_us", head="p99, µs", reach=5.0),
        Measure(key="thread_cpu_us", head="CPU of the loop's thread, µs"),
    ),
    peers=(*ALL, "mlflow-async", "fasttrackml-async"),
    limit="struct.pack_into",
)

if __name__ == "__main__":
    run(CLAIM)
