"""Claim: a gigabyte goes through the server at the speed of ``cp`` and ``sha256sum``.

Measured: seconds to upload a file of 10^9 random bytes by MLflow's protocol
(``mlflow-artifacts/artifacts/...``) and to download it again, by the same plain HTTP client from
Python's standard library to a server on the same machine, and how far the resident memory of all
its processes grows meanwhile. "Own client" is ``HttpBackend``, which hashes a file before it sends
it and whatever it receives, and can go on where it broke off.
Against: ``mlflow server`` with its proxied artifacts on a folder; and the limit, ``cp`` of the file
and ``sha256sum`` of the copy.
Fair: Loopline's server hashes both ways, syncs an upload to the disk before it answers and keeps
the last bytes of a download back until the hash is right; MLflow's does none of it, and neither
does ``cp``. Client and server share the cores.
Does not show: a network; a bucket behind the server, whose speed is that of the bucket.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="artifacts",
    title="A file of 1 GB through the server",
    measures=(
        Measure(key="up_s", head="up, s", most_times_bare=2.5),
        Measure(key="down_s", head="down, s", most_times_bare=2.5),
        Measure(key="growth_mb", head="memory growth, MB", reach=40, digits=1),
        Measure(key="own_up_s", head="own client up, s", most_times_bare=2.5),
        Measure(key="own_down_s", head="own client down, s", most_times_bare=2.5),
    ),
    limit="cp and sha256sum",
)

if __name__ == "__main__":
    run(CLAIM)
