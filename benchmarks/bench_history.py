"""Claim: a million points come out as NumPy arrays in 50 ms, ten million as a chart in 20.

Measured: steps and values of one metric of a million points, whole; and what a chart needs of it,
2,000 points with their extremes, from a million and from ten. Medians of seven readings in a
process, the first left out; MLflow and FastTrackML are read once, for they take half a minute.
Against: each peer's reader of a whole history, to arrays or lists; trackio's even choice of 2,000
points, which does not keep extremes; and the limit, the same columns read from a file, and as rows
of bare SQLite. Histories are written in bulk before, MLflow's and FastTrackML's by SQL into their
own tables; Aim's time is told from 100,000 points, as are those it can log in bearable time.
Fair: all stores are local and warm, in the page cache.
Does not show: a chart in a browser; MLflow's own way to 2,000 points, which reads the history
twice; ten million points in a peer, which take minutes to read.
"""

from __future__ import annotations

from benchmarks.claims import Claim, Measure
from benchmarks.suite import run

CLAIM = Claim(
    name="history",
    title="Reading histories",
    measures=(
        Measure(key="whole_1m_ms", head="1 M points to NumPy, ms", reach=50, digits=1),
        Measure(key="chart_1m_ms", head="1 M to 2,000, ms", digits=1),
        Measure(key="chart_10m_ms", head="10 M to 2,000, ms", reach=20, digits=1),
        Measure(key="sqlite_rows_ms", head="1 M rows of SQLite, ms", digits=1),
    ),
    limit="files of columns",
    peer_repeats=1,
)

if __name__ == "__main__":
    run(CLAIM)
