"""Claim: the same script of MLflow's client takes a tenth of the server CPU.

Measured: a script with MLflow's own client (``peers/client_script.py``): 100 runs, each with ten
params and a hundred points, one call a point, and at the end a scikit-learn model that is logged
and registered. Server CPU of all processes, and wall time and CPU of the script, imports left out;
a first script of two runs got the server warm.
Against: ``mlflow server``; the client is the same, of its version.
Fair: one client at a time, which waits for every answer: a group is one request.
Does not show: what the client costs by itself, which is most of the wall time. FastTrackML has no
registry and cannot run it.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="server_script",
    title="A script of MLflow's client",
    measures=(
        Measure(key="server_cpu_s", head="server CPU, s", times=(("mlflow", 10),)),
        Measure(key="wall_s", head="wall time, s", digits=1),
        Measure(key="client_cpu_s", head="CPU of the client, s", digits=1, is_compared=False),
    ),
    peers=("fasttrackml", "mlflow"),
    repeats=2,
    peer_repeats=1,
    is_server=True,
)

if __name__ == "__main__":
    run(CLAIM)
