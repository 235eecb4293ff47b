"""Several schedulers on one store, and a store that is not there."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

from tests.worker.workshop import wait

from loopline.backend.local import LocalBackend
from loopline.backend.recorder import close_recorders
from loopline.records.flows import FlowCode, FlowGraph, IntervalClock, ScheduleSpec
from loopline.records.operations import ClaimFlowRun, ListFlowRuns, RegisterFlow
from loopline.settings import Address
from loopline.worker import run_worker

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

#: Steps an hour ahead by hour, from process A or B as fast as it can.
SCHEDULER = """
    import sys
    from loopline.backend.local import LocalBackend
    from loopline.records.operations import MaterialiseSchedules
    from loopline.settings import Address

    now = int(sys.argv[2])
    backend = LocalBackend(Address("home", sys.argv[1]), clock=lambda: now)
    made = 0
    for _ in range(40):
        made += backend.call(MaterialiseSchedules(ahead_s=3600.0))
        now += 600_000
    print(made)
"""


def register_every_minute(backend: LocalBackend) -> None:
    backend.call(
        RegisterFlow(
            project="wagoncab project",
            name="retrain",
            fingerprint="1",
            graph=FlowGraph(),
            schedule=ScheduleSpec(clocks=[IntervalClock(interval_s=60)]),
            code=FlowCode(kind="import", entry="taxifare.flow:flow"),
        )
    )


def test_two_schedulers_that_race_make_each_due_time_once(tmp_path: Path) -> None:
    start_ms = 1_646_092_800_000
    address = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(address, clock=lambda: start_ms)
    register_every_minute(backend)
    command = [sys.executable, "-c", textwrap.dedent(SCHEDULER), address.text, str(start_ms)]
    racing = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    made = [int(process.communicate()[0]) for process in racing]

    runs = backend.call(ListFlowRuns(max_results=1000)).flow_runs
    due = sorted(run.scheduled_ms for run in runs)
    minutes = (39 * 600 + 3600) // 60
    assert sum(made) == len(due)
    assert due == [
        start_ms + 60_000 * minute for minute in range(due_first(due, start_ms), minutes + 1)
    ]
    backend.close()


def due_first(due: list[int], start_ms: int) -> int:
    """Tell whether the minute of the registration itself counts."""
    return (due[0] - start_ms) // 60_000


def test_workers_that_race_each_get_another_run(tmp_path: Path) -> None:
    start_ms = 1_646_092_800_000
    address = Address("home", str(tmp_path / ".loopline"))
    now = start_ms
    backend = LocalBackend(address, clock=lambda: now)
    register_every_minute(backend)
    now += 30 * 60_000
    from loopline.records.operations import MaterialiseSchedules

    backend.call(MaterialiseSchedules(ahead_s=3600.0))
    now += 30 * 60_000
    claimed: list[str] = []

    def claim(worker: str) -> None:
        while lease := backend.call(ClaimFlowRun(worker=worker)):
            claimed.append(lease.flow_run.flow_run_id)

    threads = [threading.Thread(target=claim, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) >= 30
    backend.close()


def test_a_worker_waits_for_a_server_that_is_away_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    stop = threading.Event()
    address = Address("http", f"http://127.0.0.1:{port}")
    with caplog.at_level(logging.INFO, "loopline.worker"):
        worker = threading.Thread(
            target=run_worker, args=(address,), kwargs={"stop": stop, "poll_s": 0.01}
        )
        worker.start()
        wait(lambda: "No work can be had now" in caplog.text)
        stop.set()
        worker.join(10)
    assert not worker.is_alive()
    assert caplog.text.count("No work can be had now") == 1
    close_recorders()
