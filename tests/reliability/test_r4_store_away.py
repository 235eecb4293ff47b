"""R4: a store that is away, hangs or refuses neither stops a training nor costs it a point."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = 4000
#: Ends at once; or stops half-way and before its end, each time until a line comes in. Says how
#: long its calls took.
TRAINING = f"""
import json, sys, time
import loopline
took = []

def timed(call, *arguments, **named):
    began = time.perf_counter()
    call(*arguments, **named)
    took.append(time.perf_counter() - began)

loopline.set_experiment("wagoncab taxifare")
with loopline.start_run() as run:
    for step in range({CALLS}):
        timed(loopline.log_metric, "rmse", step / 2, step=step)
        if step % 100 == 0:
            timed(loopline.log_param, f"p{{step}}", step)
            timed(loopline.set_tag, "step", step)
        if sys.argv[1] == "waits" and step in {{{CALLS} // 2, {CALLS} - 1}}:
            print(step, flush=True)
            sys.stdin.readline()
    loopline.log_text("fares rose", "why.txt")
took.sort()
print(json.dumps({{"run_id": run.run_id, "sum": sum(took), "max_ms": took[-1] * 1e3,
                  "p99_ms": took[len(took) * 99 // 100] * 1e3}}), flush=True)
"""


def start_training(home: Path, url: str, kind: str = "ends") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "default", "-c", TRAINING, kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=home,
        env={**os.environ, "LOOPLINE_URI": url, "HOME": str(home), "LOOPLINE_NO_CAPTURE": "1"},
    )  # fmt: skip


@contextmanager
def absent(_port: int) -> Iterator[None]:
    """Nothing listens."""
    yield


@contextmanager
def hanging(port: int) -> Iterator[None]:
    """Connections are taken, and never answered."""
    with socket.create_server(("127.0.0.1", port)):
        yield


@contextmanager
def refusing(port: int) -> Iterator[None]:
    """Every request is answered: not now."""

    class NotNow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b'{"error_code":"RESOURCE_EXHAUSTED","message":"The disk is full."}'
            self.send_response(507)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815 - the names HTTP gives them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), NotNow)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def check_arrived(url: str, run_id: str) -> None:
    backend = HttpBackend(Address("http", url))
    run = backend.call(ops.GetRun(run_id=run_id))
    history = backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
    files = backend.call(ops.ListArtifacts(run_id=run_id))
    assert history.steps == list(range(CALLS))
    assert history.values == [step / 2 for step in range(CALLS)]
    assert run.metrics["rmse"].count == CALLS
    assert run.params == {f"p{step}": str(step) for step in range(0, CALLS, 100)}
    assert run.tags["step"] == str(CALLS - 100)
    assert run.status is RunStatus.FINISHED
    assert b"".join(backend.read_blob(files[0].sha256)) == b"fares rose"
    backend.close()


@pytest.mark.parametrize(
    "trouble", [absent, refusing, pytest.param(hanging, marks=pytest.mark.deep)]
)
def test_a_training_ends_in_time_and_all_of_it_arrives_later(
    trouble: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".loopline").mkdir()
    server = ServerProcess(str(tmp_path / "store"), tmp_path)
    port = int(server.url.rpartition(":")[2])

    with trouble(port):  # type: ignore[operator]
        training = start_training(tmp_path, server.url)
        # Less than the network's own time-outs, of which one call may not cost the training one.
        output, errors = training.communicate(timeout=45)
    assert training.returncode == 0, errors
    said = json.loads(output)
    with capsys.disabled():
        print(f" p99 {said['p99_ms']:.3f} ms, max {said['max_ms']:.1f} ms", end=" ")
    assert "Traceback" not in errors
    assert "loopline sync" in errors

    with server:
        subprocess.run(
            [sys.executable, "-m", "loopline.cli", "sync"],
            cwd=tmp_path, check=True, capture_output=True,
            env={**os.environ, "LOOPLINE_URI": server.url, "HOME": str(tmp_path)},
        )  # fmt: skip
        check_arrived(server.url, said["run_id"])


def test_a_server_that_goes_and_comes_back_has_every_point_once(tmp_path: Path) -> None:
    (tmp_path / ".loopline").mkdir()
    server = ServerProcess(str(tmp_path / "store"), tmp_path)
    with server:
        training = start_training(tmp_path, server.url, "waits")
        assert training.stdout is not None
        assert training.stdin is not None
        assert training.stdout.readline() == f"{CALLS // 2}\n"
        server.kill()
        training.stdin.write("\n")
        training.stdin.flush()
        assert training.stdout.readline() == f"{CALLS - 1}\n"  # Logged while nobody answered.
        server.start()
        output, errors = training.communicate("\n", timeout=90)

        assert training.returncode == 0, errors
        check_arrived(server.url, json.loads(output)["run_id"])
