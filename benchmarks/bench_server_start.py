"""Claim: a server is there in 0.6 seconds, and holds 90 MB when nobody asks it.

Measured: from the start of the program on an empty store until ``/health`` is answered, asked
every two milliseconds; CPU until it has been idle for five seconds; and then the memory of all its
processes, pages that they share counted once (``Pss``).
Against: ``mlflow server`` with what its makers set, four workers and jobs, and FastTrackML's
server, both on a SQLite file.
Fair: compiled modules are in place. The server of Loopline does what it always does besides: due
schedules, lost runs, journals of dead processes.
Does not show: a store that holds something, which takes no longer to open.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_start",
    title="A server, from its start to its first answer, and at rest",
    measures=(
        Measure(key="start_s", head="first answer, s", reach=0.6),
        Measure(key="idle_mb", head="at rest, MB", reach=90, digits=1),
        Measure(key="start_cpu_s", head="CPU, s"),
        Measure(key="processes", head="processes", digits=0, is_compared=False),
    ),
    peers=("fasttrackml", "mlflow"),
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
