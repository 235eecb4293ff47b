"""Processes that are really killed, while they log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from loopline.backend.adopt import adopt_orphans
from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

#: Logs without end; says after each call how far it is, so that we know what had returned.
TRAINING = """
import os, sys
import loopline
loopline.set_tracking_uri(sys.argv[1])
loopline.set_experiment("wagoncab taxifare")
run = loopline.start_run(run_name="killed")
print(run.run_id, flush=True)
if sys.argv[2] == "children":
    # Data loaders: children that hold what the parent had open, and outlive it.
    for _ in range(3):
        if os.fork() == 0:
            import time
            time.sleep(60)
            os._exit(0)
    print("forked", flush=True)
step = 0
while True:
    loopline.log_metric("rmse", step / 2, step=step)
    step += 1
    os.write(1, b"%d\\n" % step)
"""


def start(home: Path, kind: str = "alone") -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(home), kind],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "LOOPLINE_NO_CAPTURE": "1", "PYTHONWARNINGS": "default"},
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    assert run_id
    return process, run_id


def kill_after(process: subprocess.Popen[str], lines: int) -> int:
    """Kill a training that has said at least so many steps; return how many calls returned."""
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    with process.stdout as output:
        said = [line for line in output.read().splitlines() if line.isdigit()]
    process.wait()
    return int(said[-1]) if said else lines


def test_children_that_outlive_a_killed_parent_do_not_keep_its_run_alive(tmp_path: Path) -> None:
    process, run_id = start(tmp_path, "children")
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "forked"
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        address = Address("home", str(tmp_path))
        backend = LocalBackend(address)
        closed = adopt_orphans(tmp_path, address, backend)
        run = backend.call(ops.GetRun(run_id=run_id))
        backend.close()
        assert closed == [run_id]
        assert run.status is RunStatus.FAILED
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # The children.
        process.stdout.close()


WATCHING = """
import sys, time
import loopline
loopline.set_tracking_uri(sys.argv[1])
with loopline.start_run():
    loopline.log_metric("rmse", 1.0)
    for _ in range(300):
        time.sleep(0.1)
        found = loopline.find_runs(f"run_id = '{sys.argv[2]}'")
        if found and found[0].status == "FAILED":
            break
print(found[0].status, found[0].metrics["rmse"].count)
"""

#: A child that ends as data loaders do: without the interpreter's exit.
FORKING = """
import json, os, sys, time
import loopline
loopline.set_tracking_uri(sys.argv[1])
with loopline.start_run() as run:
    for step in range(500):
        run.log_metric("parent", step, step=step)
    child = os.fork()
    if child == 0:
        for step in range(500):
            run.log_metric("child", step, step=step)
        os._exit(0)
    os.waitpid(child, 0)
    for step in range(500, 1000):
        loopline.log_metric("parent", step, step=step)
    for _ in range(100):
        metrics = run.fetch().metrics
        if "child" in metrics and metrics["child"].count == 500:
            break
        time.sleep(0.1)
    print(json.dumps({key: metric.count for key, metric in metrics.items()}))
print(loopline.get_run(run.run_id).status)
"""

LOGGING = """
import sys
import loopline
loopline.set_tracking_uri(sys.argv[1])
with loopline.start_run() as run:
    for step in range(1000):
        loopline.log_metric("rmse", step, step=step)
print(run.run_id)
"""


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "default", **environment},
    )


def test_another_process_that_is_around_shows_the_run_as_failed(tmp_path: Path) -> None:
    process, run_id = start(tmp_path)
    returned = kill_after(process, 200)

    done = run(WATCHING, str(tmp_path), run_id, LOOPLINE_ADOPT_EVERY_S="0.2")

    status, count = done.stdout.split()
    assert status == "FAILED"
    assert int(count) >= returned


def test_a_forked_child_logs_to_the_same_run_through_a_journal_of_its_own(tmp_path: Path) -> None:
    done = run(FORKING, str(tmp_path), LOOPLINE_ADOPT_EVERY_S="0.2")

    counts, status = done.stdout.splitlines()
    assert json.loads(counts) == {"parent": 1000, "child": 500}
    assert status == "FINISHED"


def test_a_store_that_is_away_does_not_stop_the_training_and_gets_everything_later(
    tmp_path: Path,
) -> None:
    (tmp_path / "loopline.db").mkdir()  # A folder where the database should be.
    done = run(LOGGING, str(tmp_path))
    assert "loopline sync" in done.stderr

    (tmp_path / "loopline.db").rmdir()
    address = Address("home", str(tmp_path))
    backend = LocalBackend(address)
    adopt_orphans(tmp_path, address, backend)
    found = backend.call(ops.GetRun(run_id=done.stdout.strip()))
    backend.close()

    assert found.metrics["rmse"].count == 1000
    assert found.status is RunStatus.FINISHED


def test_whoever_reads_finds_the_run_of_a_killed_process_ended_when_it_was_killed(
    tmp_path: Path,
) -> None:
    process, run_id = start(tmp_path)
    returned = kill_after(process, 100)
    killed_ms = time.time_ns() // 1_000_000
    time.sleep(2)
    reading = (
        "import json, sys, loopline; run = loopline.get_run(sys.argv[1]); print(json.dumps({"
        "'status': run.status, 'end_ms': run.end_ms, 'points': run.metrics['rmse'].count}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", reading, run_id],
        capture_output=True, text=True, check=True,
        env={**os.environ, "LOOPLINE_URI": str(tmp_path)},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["status"] == "FAILED"
    assert found["points"] >= returned
    assert abs(found["end_ms"] - killed_ms) < 1500  # And not when it was found.


def test_a_command_that_lists_runs_finds_those_of_killed_processes_ended(tmp_path: Path) -> None:
    process, run_id = start(tmp_path)
    kill_after(process, 50)
    done = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "runs", "list", "--json", "--uri", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (run,) = json.loads(done.stdout)
    assert (run["run_id"], run["status"]) == (run_id, "FAILED")
