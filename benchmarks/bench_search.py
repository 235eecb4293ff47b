"""Claim: a search costs what its page costs, over a hundred thousand runs as over a million.

Measured: median wall time of ``SearchRuns`` on a SQLite home, 10 metrics and 10 params a run in
ten experiments; the stores are filled in bulk and kept (``--million`` adds the larger one, which
takes minutes to fill). Against: MLflow's client on its own SQLite store of the same runs
(``--peer PYTHON``), in the same run. Fair: both answer records of 100 runs, embedded, no server.
Does not show: filters of which each condition is common and all together are rare, which look
at many runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.fill_store import fill
from benchmarks.measure import STORES, ask_peer, table, wall_ms

from loopline import search_runs, set_tracking_uri
from loopline.backend.local import LocalBackend
from loopline.records.operations import SearchRuns
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

TWO = "metrics.rmse < 4 and params.model = 'gbm'"
QUESTIONS = {
    "newest 100": SearchRuns(max_results=100),
    "top 100 by a metric": SearchRuns(order_by=["metrics.rmse"], max_results=100),
    "filter of two, by a metric": SearchRuns(
        filter=TWO, order_by=["metrics.rmse"], max_results=100
    ),
    "filter of two, newest": SearchRuns(filter=TWO, max_results=100),
    "one param of a million": SearchRuns(filter="params.lr = '0.134364'", max_results=100),
    "summary, or, like": SearchRuns(
        filter="metrics.rmse.min < 3.35 and params.model = 'gbm' or "
        "tags.\"mlflow.runName\" like 'night 99%'",
        max_results=100,
    ),
}
FRAME = "10,000 to a DataFrame"


def measure(home: Path) -> dict[str, float]:
    """Ask all questions."""
    backend = LocalBackend(Address("home", str(home)))
    found = {
        name: wall_ms(lambda call=call: backend.call(call))  # type: ignore[misc]
        for name, call in QUESTIONS.items()
    }
    backend.close()
    set_tracking_uri(home)
    found[FRAME] = wall_ms(
        lambda: search_runs(search_all_experiments=True, max_results=10_000), repeats=3
    )
    return found


def main() -> None:
    """Measure and print."""
    sizes = [100_000, *([1_000_000] if "--million" in sys.argv else [])]
    ours = [measure(fill(STORES / f"runs-{size}", size)) for size in sizes]
    peer = ask_peer("search")
    heads = ["milliseconds", *(f"Loopline, {size:,} runs" for size in sizes)]
    heads += ["MLflow, 100,000 runs", "ratio"] if peer else []
    rows: list[list[object]] = []
    for name in [*QUESTIONS, FRAME]:
        row: list[object] = [name, *(each[name] for each in ours)]
        if peer:
            theirs = peer.get(name)
            row += [theirs or "", f"{theirs / ours[0][name]:.0f}x" if theirs else ""]
        rows.append(row)
    table("Searching runs", heads, rows)


if __name__ == "__main__":
    main()
