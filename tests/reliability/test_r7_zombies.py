"""R7: a run whose process died says so by itself; one that was only away is not overwritten."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.reliability.serving import ServerProcess
from tests.server.running import ask, running

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.errors import BackendUnavailableError
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address
from loopline.store.holders import LOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

    from loopline.backend.protocol import Backend

#: Logs until an empty line comes in, then ends its run. Told to, it stops as by Ctrl-Z when next
#: all of a transaction is written and only the COMMIT is missing.
TRAINING = """
import os, signal, sys, threading, time
from sqlalchemy import Engine, event
import loopline

over, in_a_transaction = threading.Event(), threading.Event()

def obey():
    for line in iter(sys.stdin.readline, "\\n"):
        in_a_transaction.set()
    over.set()

@event.listens_for(Engine, "commit")
def stop(connection):
    if in_a_transaction.is_set():
        in_a_transaction.clear()
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # A thread runs on a little until the stop reaches it.

with loopline.start_run() as run:
    print(run.run_id, flush=True)
    threading.Thread(target=obey, daemon=True).start()
    step = 0
    while not over.wait(0.01):
        loopline.log_metric("rmse", step / 2, step=step)
        step += 1
print(step, flush=True)
"""


def start_training(uri: str, home: Path) -> tuple[subprocess.Popen[str], str]:
    (home / ".loopline").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=home,
        env={**os.environ, "LOOPLINE_URI": uri, "LOOPLINE_HOME": str(home / ".loopline"),
             "LOOPLINE_NO_CAPTURE": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def wait_for(backend: Backend, run_id: str, *statuses: RunStatus) -> float:
    """Wait until a run has one of these statuses; return how long it took."""
    began = time.monotonic()
    while True:
        found = backend.call(ops.SearchRuns(filter=f"run_id = '{run_id}'")).runs
        waited = time.monotonic() - began
        if found and found[0].status in statuses and found[0].metrics:
            return waited
        assert waited < 90
        time.sleep(0.05)


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    assert os.waitid(os.P_PID, process.pid, os.WSTOPPED) is not None


def pause_between_transactions(process: subprocess.Popen[str], database: Path) -> None:
    """Stop a process at a moment when it does not hold the database's write lock."""
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        while True:
            process.send_signal(signal.SIGSTOP)
            wait_until_stopped(process)
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                time.sleep(0.01)
            else:
                connection.execute("ROLLBACK")
                return


def test_a_paused_process_that_comes_back_takes_its_run_back(tmp_path: Path) -> None:
    store = tmp_path / "store"
    training, run_id = start_training(str(store), tmp_path)
    backend = LocalBackend(Address("home", str(store)))
    wait_for(backend, run_id, RunStatus.RUNNING)

    pause_between_transactions(training, store / "loopline.db")
    time.sleep(0.5)  # Longer than what counts as silence here.
    assert backend.call(ops.CloseLostRuns(silent_s=0.2)) == [run_id]
    lost = backend.call(ops.GetRun(run_id=run_id))
    training.send_signal(signal.SIGCONT)
    wait_for(backend, run_id, RunStatus.RUNNING)
    steps = training.communicate("\n")[0].strip()

    ended = backend.call(ops.GetRun(run_id=run_id))
    backend.close()
    assert (lost.status, lost.end_reason.partition(":")[0]) == (RunStatus.FAILED, "lost")
    assert (ended.status, ended.end_reason) == (RunStatus.FINISHED, "")
    assert ended.metrics["rmse"].count == int(steps)


@contextmanager
def stopped_in_a_transaction(
    address: Address, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[LocalBackend, subprocess.Popen[str]]]:
    """Have a training stopped while it holds the write lock; at the end it has stored all."""
    monkeypatch.setattr("loopline.store.database.LOCK_WAIT_S", 0.5)  # Here; there it is 30 s.
    training, run_id = start_training(address.text, home)
    backend = LocalBackend(address, home=home)
    wait_for(backend, run_id, RunStatus.RUNNING)
    assert training.stdin is not None
    training.stdin.write("stop\n")
    training.stdin.flush()
    wait_until_stopped(training)
    assert backend.call(ops.GetRun(run_id=run_id)).status is RunStatus.RUNNING  # Reads go on.

    yield backend, training
    training.send_signal(signal.SIGCONT)
    steps = training.communicate("\n")[0].strip()
    ended = backend.call(ops.GetRun(run_id=run_id))
    backend.close()
    assert training.returncode == 0
    assert (ended.status, ended.metrics["rmse"].count) == (RunStatus.FINISHED, int(steps))


def test_who_waits_for_a_process_stopped_in_a_transaction_hears_which_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody can take its lock away.
    address = Address("home", str(tmp_path / "store"))
    with stopped_in_a_transaction(address, tmp_path, monkeypatch) as (backend, training):
        with pytest.raises(BackendUnavailableError) as caught:
            backend.call(ops.EnsureExperiment(name="night"))
        assert "has been locked for 0.5 s" in str(caught.value)
        if LOCKS.exists():  # Other systems do not say who holds a lock.
            assert f"Process {training.pid} (" in str(caught.value)
            assert f"kill -CONT {training.pid}" in str(caught.value)


@pytest.mark.deep
def test_a_process_stopped_in_a_transaction_on_postgresql_loses_it_and_not_its_facts(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    address = postgres.new()
    with stopped_in_a_transaction(address, tmp_path, monkeypatch) as (backend, _training):
        while True:
            try:
                backend.call(ops.EnsureExperiment(name="night"))
            except BackendUnavailableError:
                refused += 1
            else:
                break
    assert refused > 0


def test_a_run_of_a_client_of_mlflow_never_fails_by_silence(tmp_path: Path) -> None:
    address = Address("home", str(tmp_path / "store"))
    with running(address) as url:

        def post(call: str, **body: object) -> dict[str, Any]:
            path = f"/api/2.0/mlflow/runs/{call}"
            json_body = {"Content-Type": "application/json"}
            answer = ask(url, "POST", path, json.dumps(body).encode(), json_body)
            assert answer.status == 200
            found: dict[str, Any] = json.loads(answer.text)
            return found

        run_id = post("create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
        point = {"key": "rmse", "value": 3.9, "timestamp": 1, "step": 0}
        post("log-metric", run_id=run_id, **point)
        backend = HttpBackend(Address("http", url))
        time.sleep(0.1)
        assert backend.call(ops.CloseLostRuns(silent_s=0.0)) == []
        run = backend.call(ops.GetRun(run_id=run_id))
        backend.close()
    assert (run.status, run.metrics["rmse"].count) == (RunStatus.RUNNING, 1)


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_on_another_machine_it_takes_half_a_minute_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Homes of their own: whom the server cannot lock out, it knows to be dead by silence alone.
    home = tmp_path / "server"
    server = ServerProcess(str(tmp_path / "store"), home, LOOPLINE_HOME=str(home / ".loopline"))
    with server:
        backend = HttpBackend(Address("http", server.url))
        killed, killed_id = start_training(server.url, tmp_path / "a")
        paused, paused_id = start_training(server.url, tmp_path / "b")
        for run_id in (killed_id, paused_id):
            wait_for(backend, run_id, RunStatus.RUNNING)

        killed.kill()
        paused.send_signal(signal.SIGSTOP)
        took = wait_for(backend, killed_id, RunStatus.FAILED)
        wait_for(backend, paused_id, RunStatus.FAILED)
        paused.send_signal(signal.SIGCONT)
        wait_for(backend, paused_id, RunStatus.RUNNING)
        steps = paused.communicate("\n")[0].strip()

        with capsys.disabled():
            print(f" {took:.1f} s", end=" ")
        assert backend.call(ops.GetRun(run_id=killed_id)).end_reason.startswith("lost")
        ended = backend.call(ops.GetRun(run_id=paused_id))
        assert (ended.status, ended.metrics["rmse"].count) == (RunStatus.FINISHED, int(steps))
        killed.communicate()
        backend.close()
