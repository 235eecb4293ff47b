"""Claim: a server that is stopped, killed or out of disk is back in two seconds, with all it took.

Measured: eight clients log a point a request. Then, from SIGTERM until the process is gone, and
from the next start until ``/health`` is answered; from a disk that takes nothing (``RLIMIT_FSIZE``,
answered with 507) being free again until each of the clients has a point taken; and after
``SIGKILL`` from the start until ``/health`` is answered. After each start every point that was
acknowledged has to be there.
Against: nobody; seconds are claimed.
Fair: compiled modules are in place.
Does not show: requests that take long, such as uploads, which a stop waits for, four seconds at
most; a store of many gigabytes.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_stop",
    title="A server that is stopped, killed or out of disk under load",
    measures=(
        Measure(key="stop_s", head="gone after SIGTERM, s", reach=5),
        Measure(key="ready_s", head="ready again, s", reach=2),
        Measure(key="recover_s", head="ready after SIGKILL, s", reach=2),
        Measure(key="disk_s", head="after a full disk, s", reach=2),
        Measure(key="per_s", head="points a second before", is_more_better=True, digits=0),
        Measure(key="failed", head="other answers", reach=0, digits=0),
    ),
    peers=(),
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
