"""Claim: a search costs what its page costs, over a hundred thousand runs as over a million.

Measured: pages of 100 of 100,000 runs with 10 metrics and 10 params in ten experiments: the
newest; the best by a metric; a filter of two conditions, by that metric and by time; one param
that one run has. The last is one that only Loopline has words for: a metric's least value, or a
pattern. Medians of seven in a process (MLflow and FastTrackML: three), the first left out.
``--million`` measures Loopline with 1,000,000 runs, which take minutes to fill.
Against: MLflow's client on its SQLite file and FastTrackML's server, filled in bulk by SQL with
the same runs; and the limit, 100 documents of an indexed table, read and decoded.
Fair: every search answers whole runs with params, metrics and tags; Loopline and MLflow are
embedded, FastTrackML is asked over HTTP as it has no other way. The peers' databases got an
``ANALYZE``, which neither of them ever does: without it SQLite needs minutes for MLflow's orders
by a metric. Peers' metrics have their last point only, Loopline's the summary of a hundred.
Does not show: filters of which each condition is common and all together are rare, which look at
many runs; trackio, tensorboardX, DVCLive and wandb offline, which have no search; Aim, which
cannot be filled in bearable time.
"""

from __future__ import annotations

import sys

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

MEASURES = (
    Measure(key="newest_ms", head="newest, ms", reach=5),
    Measure(key="ordered_ms", head="by a metric, ms"),
    Measure(key="filtered_ms", head="filter, by a metric, ms", reach=20),
    Measure(key="filtered_newest_ms", head="filter, newest, ms"),
    Measure(key="one_param_ms", head="one param, ms"),
    Measure(key="or_like_ms", head="least, or, like, ms"),
)
CLAIM = Claim(
    name="search",
    title="Searching 100,000 runs",
    measures=MEASURES,
    limit="100 rows of an indexed table",
    peer_repeats=1,
    is_kept=True,
)
MILLION = Claim(
    name="search_million",
    title="Searching 1,000,000 runs",
    measures=(
        MEASURES[0],
        MEASURES[1],
        Measure(key="filtered_ms", head="filter, by a metric, ms", reach=200),
        *MEASURES[3:],
    ),
    peers=(),
    limit="100 rows of an indexed table",
    is_kept=True,
)

if __name__ == "__main__":
    run(MILLION if "--million" in sys.argv else CLAIM)
