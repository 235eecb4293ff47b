"""Claim: ten thousand runs become a DataFrame in a quarter of a second.

Measured: ``search_runs`` of 10,000 runs, 10 metrics and 10 params each, of the 100,000 of the
search benchmark, to pandas.
Against: the same call of MLflow's client on its SQLite file and on FastTrackML's server, which is
MLflow's API.
Fair: pandas is imported before the clock starts for Loopline, which measures the median of three
after a first; peers are measured once, import of pandas included: a share of a second of many.
Does not show: other kinds of frames, or peers without such a call.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="frame",
    title="search_runs of 10,000 runs to a DataFrame",
    measures=(Measure(key="frame_s", head="seconds", reach=0.25, digits=3),),
    peer_repeats=1,
    is_kept=True,
)

if __name__ == "__main__":
    run(CLAIM)
