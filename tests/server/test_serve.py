"""The server as a process: its port, its stop, and what it does by itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running

from loopline.backend.local import LocalBackend
from loopline.errors import ConflictError, InvalidInputError
from loopline.records import operations as ops
from loopline.records.flows import FlowCode, FlowGraph, IntervalClock, ScheduleSpec
from loopline.server.janitor import Janitor
from loopline.server.serve import serve
from loopline.settings import Address

JSON = {"Content-Type": "application/json"}

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def server_process(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [
        sys.executable,
        "-m",
        "loopline.cli",
        "server",
        "--port",
        "0",
        "--json",
        "--uri",
        str(home),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        yield json.loads(line)["url"], process
    finally:
        process.kill()
        process.communicate()


def test_its_threads_share_the_memory_that_is_free(tmp_path: Path) -> None:
    with server_process(tmp_path) as (url, process):
        askers = [
            threading.Thread(target=lambda: [ask(url, "GET", "/runs") for _ in range(5)])
            for _ in range(16)
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 8
        # glibc begins an arena beside the process's own at a multiple of 64 MB.
        maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        anonymous = [line.split() for line in maps if len(line.split()) == 5]
        begins = [int(words[0].partition("-")[0], 16) for words in anonymous if "rw" in words[1]]
        assert sum(begin % (64 * 2**20) == 0 for begin in begins) == 1


def test_a_crowd_waits_for_a_store_that_is_locked_for_a_moment(tmp_path: Path) -> None:
    crowd = 700
    with server_process(tmp_path) as (url, _), contextlib.ExitStack() as connections:
        started = json.dumps({"experiment_id": "0", "start_time": 1}).encode()
        answer = ask(url, "POST", "/api/2.0/mlflow/runs/create", started, JSON)
        run_id = json.loads(answer.body)["run"]["info"]["run_id"]
        port = int(url.rpartition(":")[2])
        opened = [
            connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(crowd)
        ]
        other = connections.enter_context(
            contextlib.closing(sqlite3.connect(tmp_path / "loopline.db", isolation_level=None))
        )
        other.execute("BEGIN IMMEDIATE")
        for number, connection in enumerate(opened):
            body = json.dumps(
                {"run_id": run_id, "key": "rmse", "value": 1.0, "timestamp": 1, "step": number}
            )
            connection.sendall(
                f"POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}".encode()
            )
        time.sleep(1)
        other.execute("ROLLBACK")
        statuses = Counter(connection.recv(65_536)[9:12] for connection in opened)
        assert statuses == {b"200": crowd}
        history = f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=rmse"
        assert len(json.loads(ask(url, "GET", history).body)["metrics"]) == crowd


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with server_process(tmp_path) as (url, process):
        assert ask(url, "GET", "/health").status == 200
        process.send_signal(number)
        assert process.wait(5) == 0


def test_a_request_in_hand_is_finished_before_it_stops(tmp_path: Path) -> None:
    body = b'{"name": "' + b"x" * 400 + b'"}'
    head = (
        b"POST /api/v1/ops/ensure-experiment HTTP/1.1\r\nHost: %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with server_process(tmp_path) as (url, process):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head % (url.removeprefix("http://").encode(), len(body)))
            connection.sendall(body[:200])
            time.sleep(0.3)  # So that the request is in the server's hands when the signal comes.
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[200:])
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert process.wait(5) == 0


def test_a_port_in_use_is_named_with_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"{port}.*--port"):
            serve(Address("home", str(tmp_path)), port=port)


def test_a_server_does_not_serve_another_server() -> None:
    with pytest.raises(InvalidInputError, match="already"):
        serve(Address("http", "http://localhost:5050"))


def test_two_servers_may_serve_one_home(tmp_path: Path) -> None:
    home = Address("home", str(tmp_path))
    with running(home) as first, running(home) as second:
        assert first != second
        made = ask(
            first,
            "POST",
            "/api/v1/ops/ensure-experiment",
            b'{"name": "shared"}',
            {"Content-Type": "application/json"},
        )
        assert made.status == 200
        assert "shared" in ask(second, "GET", "/experiments").text


def test_the_janitor_makes_due_flow_runs(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    backend.call(
        ops.RegisterFlow(
            project="wagoncab",
            name="taxifare",
            fingerprint="f",
            graph=FlowGraph(),
            schedule=ScheduleSpec(clocks=[IntervalClock(interval_s=600)]),
            code=FlowCode(kind="import", entry="flow:flow"),
        )
    )
    done = threading.Event()
    janitor = Janitor(backend, adopt=done.set, every_s=0.01)
    janitor.start()
    assert done.wait(10)
    until = time.monotonic() + 10
    while not (made := backend.call(ops.ListFlowRuns()).flow_runs) and time.monotonic() < until:
        time.sleep(0.01)
    janitor.stop()
    backend.close()
    assert made
    assert all(run.is_automatic for run in made)


def test_the_janitor_goes_on_after_a_step_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    tries: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        tries.append(1)
        if len(tries) >= 3:
            enough.set()
        raise OSError(5, "the disk is gone")

    janitor = Janitor(backend, adopt=fail, every_s=0.01)
    janitor.start()
    assert enough.wait(10)
    janitor.stop()
    backend.close()
    assert caplog.text.count("the disk is gone") == 1


def test_the_journal_of_a_dead_process_is_adopted_and_its_run_closed(tmp_path: Path) -> None:
    home = tmp_path / ".loopline"
    script = (
        "import os, time\n"
        "from loopline.backend.recorder import get_recorder\n"
        "from loopline.records.facts import RunStarted\n"
        f"recorder = get_recorder({str(home)!r})\n"
        "recorder.record(RunStarted(run_id='f' * 32, experiment='taxi', start_ms=1))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL

    with running(Address("home", str(home))) as url:
        until = time.monotonic() + 20
        text = ""
        while "process died" not in text and time.monotonic() < until:
            text = ask(url, "GET", "/runs/" + "f" * 32).text
            time.sleep(0.05)
    assert "process died" in text
