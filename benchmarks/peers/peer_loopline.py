"""Loopline itself, in an embedded home, under the same protocol as its peers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from artifact_works import free_address, make_file, measure, served
from protocol import (
    HISTORY_POINTS,
    PARAMS,
    RUN_METRICS,
    call_times,
    log_for_ever,
    main,
    rate,
    until_durable,
    wall_ms,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TWO = "metrics.rmse < 4 and params.model = 'gbm'"
LOG = "log_metric('rmse', value, step=step)"


def start(folder: Path) -> Any:  # noqa: ANN401 - imported when it is measured
    """Open a run in a home of its own."""
    import loopline

    loopline.set_tracking_uri(folder / "home")
    loopline.set_experiment("wagoncab taxifare")
    return loopline.start_run()


def log_metric(folder: Path) -> dict[str, float]:
    """One point a call, while the drain thread sends to the store as always."""
    import loopline

    start(folder)
    recorder().flush()  # The store is open: the drain thread has points to send, not to import.
    found = call_times(LOG, {"log_metric": loopline.log_metric}, most=1_000_000)
    loopline.end_run()
    return found


def cpu(folder: Path) -> dict[str, float]:
    """Until the store has committed and synced them."""
    import loopline
    from loopline.records.operations import GetMetricColumns

    run = start(folder)

    def read() -> int:
        call = GetMetricColumns(run_id=run.run_id, key="rmse")
        return len(recorder().backend.call(call).values) // 8

    log = {"log_metric": loopline.log_metric}
    return until_durable(LOG, log, lambda: recorder().flush(), read, most=1_000_000)


def recorder() -> Any:  # noqa: ANN401 - imported when it is measured
    """Get what records here."""
    from loopline.backend.recorder import get_recorder

    return get_recorder()


def kill(folder: Path) -> None:
    """Log until killed."""
    import loopline

    run = start(folder)
    (folder / "run").write_text(run.run_id)
    recorder().flush()  # The store is open: kills hit the drain thread while it sends.
    log_for_ever(folder, LOG, {"log_metric": loopline.log_metric})


def read(folder: Path) -> dict[str, int]:
    """Take over what the dead process left, as any next process does, and count."""
    from loopline.backend.adopt import adopt_orphans
    from loopline.backend.local import LocalBackend
    from loopline.records.operations import GetMetricHistory
    from loopline.settings import Address

    address = Address("home", str(folder / "home"))
    backend = LocalBackend(address)
    run_id = (folder / "run").read_text()

    def survived() -> int:
        try:
            history = backend.call(GetMetricHistory(run_id=run_id, key="rmse"))
        except LookupError:
            return 0
        whole = history.steps == list(range(len(history)))
        return len(history) if whole and history.values == [s / 2 for s in history.steps] else -1

    in_store = survived() if committed(folder) else 0
    adopt_orphans(folder / "home", address, backend)
    found = survived()
    backend.close()
    return {"survived": found, "in_store_at_death": in_store}


def committed(folder: Path) -> bool:
    """Tell whether the store had heard of the run when the process died."""
    import sqlite3

    connection = sqlite3.connect(folder / "home" / "loopline.db")
    row = connection.execute("SELECT count(*) FROM ll_metric").fetchone()
    connection.close()
    return bool(row[0])


def arrays(folder: Path) -> dict[str, float]:
    """Whole histories of a million points in one call, five of them, until durable."""
    import numpy as np

    import loopline

    start(folder)
    steps = np.arange(HISTORY_POINTS)
    values = [np.random.default_rng(seed).random(HISTORY_POINTS) for seed in range(6)]
    loopline.log_metrics({"warm": values[5]}, steps=steps)
    recorder().flush()

    def work() -> None:
        for number in range(5):
            loopline.log_metrics({f"loss {number}": values[number]}, steps=steps)
        recorder().flush()

    return {"points_per_s": rate(5 * HISTORY_POINTS, work)}


def runs(folder: Path) -> dict[str, float]:
    """Start, 10 params, 10 metrics, end, until durable."""
    import loopline

    loopline.set_tracking_uri(folder / "home")
    loopline.set_experiment("runs")
    with loopline.start_run():
        pass
    recorder().flush()
    count = 1000

    def work() -> None:
        for number in range(count):
            with loopline.start_run(run_name=f"night {number}"):
                loopline.log_params(PARAMS)
                loopline.log_metrics(RUN_METRICS)
        recorder().flush()

    return {"runs_per_s": rate(count, work)}


def whole(folder: Path) -> None:
    """Import, start, log one point, end; closed as at the end of any process."""
    import loopline

    start(folder)
    loopline.log_metric("rmse", 3.9)
    loopline.end_run()
    from loopline.backend.recorder import close_recorders

    close_recorders()


def history(folder: Path) -> dict[str, float]:
    """A million points to NumPy; ten million to 2,000."""
    import numpy as np

    import loopline
    from loopline.records.operations import GetMetricColumns

    run = start(folder)
    steps = np.arange(HISTORY_POINTS)
    for part in range(10):
        values = np.random.default_rng(part).random(HISTORY_POINTS)
        loopline.log_metrics({"long": values}, steps=steps + part * HISTORY_POINTS)
        if not part:
            loopline.log_metrics({"loss": values}, steps=steps)
    recorder().flush()
    backend = recorder().backend

    def ask(key: str, most: int = 0) -> Callable[[], object]:
        call = GetMetricColumns(run_id=run.run_id, key=key, max_points=most)

        def columns() -> object:
            found = backend.call(call)
            return [np.frombuffer(found.steps), np.frombuffer(found.values)]

        return columns

    return {
        "whole_1m_ms": wall_ms(ask("loss")),
        "chart_1m_ms": wall_ms(ask("loss", 2_000)),
        "chart_10m_ms": wall_ms(ask("long", 2_000)),
    }


QUESTIONS: dict[str, dict[str, Any]] = {
    "newest_ms": {},
    "ordered_ms": {"order_by": ["metrics.rmse"]},
    "filtered_ms": {"filter": TWO, "order_by": ["metrics.rmse"]},
    "filtered_newest_ms": {"filter": TWO},
    "one_param_ms": {"filter": "params.lr = '0.134364'"},
    "or_like_ms": {
        "filter": "metrics.rmse.min < 3.35 and params.model = 'gbm' or "
        "tags.\"mlflow.runName\" like 'night 99%'"
    },
}


def search(folder: Path) -> dict[str, float]:
    """Search 100,000 runs."""
    return search_among(folder, 100_000)


def search_million(folder: Path) -> dict[str, float]:
    """Search 1,000,000 runs."""
    return search_among(folder, 1_000_000)


def search_among(folder: Path, count: int) -> dict[str, float]:
    """Ask all questions."""
    from benchmarks.fill_store import fill

    from loopline.backend.local import LocalBackend
    from loopline.records.operations import SearchRuns
    from loopline.settings import Address

    backend = LocalBackend(Address("home", str(fill(folder / f"runs-{count}", count))))
    found = {}
    for name, question in QUESTIONS.items():
        call = SearchRuns(max_results=100, **question)
        found[name] = wall_ms(lambda call=call: backend.call(call))  # type: ignore[misc]
    backend.close()
    return found


def frame(folder: Path) -> dict[str, float]:
    """10,000 runs to a DataFrame."""
    from benchmarks.fill_store import fill

    import loopline

    loopline.set_tracking_uri(fill(folder / "runs-100000", 100_000))

    def work() -> None:
        table = loopline.search_runs(search_all_experiments=True, max_results=10_000)
        if len(table) != 10_000:  # noqa: PLR2004 - as asked for
            raise SystemExit("a search did not find all runs")

    return {"frame_s": wall_ms(work, repeats=3) / 1e3}


def artifacts(folder: Path) -> dict[str, float]:
    """Send a file through ``loopline server`` and back, by plain HTTP and by our own client."""
    from loopline.backend.downloads import download_blob
    from loopline.backend.http import HttpBackend
    from loopline.records.facts import RunStarted
    from loopline.records.operations import RecordFacts
    from loopline.settings import Address

    address = free_address()
    port = address.partition(":")[2]
    command = [sys.executable, "-m", "loopline.cli", "server", "--port", port]
    with served([*command, "--uri", str(folder / "home")], address, folder) as process:
        client = HttpBackend(Address("http", f"http://{address}"))
        client.call(RecordFacts(facts=[RunStarted(run_id="1" * 32, experiment="x", start_ms=1)]))
        url = f"http://{address}/api/2.0/mlflow-artifacts/artifacts/1/{'1' * 32}/artifacts"
        found = measure(url, process.pid, folder)
        own = make_file(folder / "own")
        own_up_s = 1 / rate(1, lambda: client.put_blob(own))
        sha256, _ = client.put_blob(own)
        own_down_s = 1 / rate(1, lambda: download_blob(client, sha256, folder / "back"))
        client.close()
    return {**found, "own_up_s": own_up_s, "own_down_s": own_down_s}


if __name__ == "__main__":
    os.environ["LOOPLINE_NO_CAPTURE"] = "1"
    os.environ["LOOPLINE_SYSTEM_METRICS"] = "0"
    main(
        {
            "log_metric": log_metric,
            "cpu": cpu,
            "kill": kill,
            "read": read,
            "arrays": arrays,
            "runs": runs,
            "whole": whole,
            "history": history,
            "search": search,
            "search_million": search_million,
            "artifacts": artifacts,
            "frame": frame,
        }
    )
