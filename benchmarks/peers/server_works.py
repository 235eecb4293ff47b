"""What is asked of servers that speak MLflow's protocol, whoever made them."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import Load, drive, post
from protocol import cpu_s, descendants

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Server", "ServerWorks", "free_port", "start"]

API = "/api/2.0/mlflow"
UP_S = 180.0
SECONDS = 6.0
#: Of the script.
RUNS = 100
#: Points of a batch: MLflow takes no more at once.
BATCH = 1000
NOW_MS = 1_672_531_200_000
#: Number of the first batch: a step has no leading zeros.
FIRST_BATCH = 10


class Server:
    """A server that runs, with all processes it has started."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        atexit.register(self.stop)

    def stop(self) -> None:
        """End it."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def pids(self) -> list[int]:
        """Name its processes."""
        return [self.process.pid, *descendants(self.process.pid)]

    def cpu_s(self) -> float:
        """Tell how much CPU all its processes have used."""
        own = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return cpu_s(own) + sum(map(cpu_s, descendants(self.process.pid).values()))

    def rest(self) -> None:
        """Wait, a minute at most, until it takes no more than a fifth of a core for itself."""
        for _ in range(30):
            before = self.cpu_s()
            time.sleep(2)
            if self.cpu_s() - before < 0.4:  # noqa: PLR2004 - of two seconds
                return

    def memory_mb(self) -> float:
        """Tell what all its processes hold, pages that they share counted once."""
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(text.partition("\nPss:")[2].split()[0])
        return total / 1024

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask something."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{API}/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - as written here
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def make_run(self) -> str:
        """Make a run."""
        call = {"experiment_id": "0", "start_time": NOW_MS}
        return str(self.ask("runs/create", call)["run"]["info"]["run_id"])

    def last_step(self, run_id: str, key: str) -> int:
        """Tell the step of a metric's latest point."""
        url = f"http://127.0.0.1:{self.port}{API}/runs/get?run_id={run_id}"
        with urllib.request.urlopen(url) as answer:
            metrics = json.loads(answer.read())["run"]["data"]["metrics"]
        return int(next(each["step"] for each in metrics if each["key"] == key))


def free_port() -> int:
    """Find one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(command: list[str], port: int, folder: Path) -> tuple[Server, float]:
    """Start a server; answer it, and the seconds until it answered ``/health`` with anything."""
    began = time.perf_counter()
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    server = Server(process, port)
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    while time.perf_counter() < began + UP_S and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=UP_S) as asked:
                asked.sendall(request.encode())
                if asked.recv(1024).startswith(b"HTTP/"):
                    return server, time.perf_counter() - began
        except OSError:
            time.sleep(0.002)
    raise SystemExit(f"the server did not come up: {(folder / 'server.log').read_text()[-300:]}")


class ServerWorks:
    """The works, bound to a server.

    Args:
        command: Tells how to start one on a folder and a port.
        filled: Fills a folder with 100,000 runs in ten experiments; answers the command of a
            server on them, given a port.
    """

    def __init__(
        self,
        command: Callable[[Path, int], list[str]],
        filled: Callable[[Path, int], list[str]],
    ) -> None:
        self.command = command
        self.filled = filled

    def all(self) -> dict[str, Callable[[Path], Any]]:
        """Name them."""
        return {
            "server_start": self.begin,
            "server_log_metric": self.log_metric,
            "server_log_batch": self.log_batch,
            "server_search": self.search,
            "server_script": self.script,
        }

    def up(self, folder: Path) -> Server:
        """Start a server on an empty store, and wait until it has done what it does at first."""
        port = free_port()
        server, _ = start(self.command(folder, port), port, folder)
        server.rest()
        return server

    def begin(self, folder: Path) -> dict[str, float]:
        """Start on an empty store; what it holds when it has been idle."""
        port = free_port()
        server, seconds = start(self.command(folder, port), port, folder)
        time.sleep(5)
        found = {
            "start_s": seconds,
            "idle_mb": server.memory_mb(),
            "processes": len(server.pids()),
            "start_cpu_s": server.cpu_s(),
        }
        server.stop()
        return found

    def log_metric(self, folder: Path) -> dict[str, float]:
        """One point a request, over 8 and over 64 connections, each with a run of its own."""
        server = self.up(folder)
        found: dict[str, float] = {}
        for width in (8, 64):
            runs = [server.make_run() for _ in range(width)]
            load, cpu = measured(server, [points(server.port, run) for run in runs])
            for run, sent in zip(runs, load.sent, strict=True):
                if server.last_step(run, "rmse") != sent - 1:
                    raise SystemExit("a point that was acknowledged is not there")
            found |= {
                f"per_s_{width}": load.per_second(),
                f"p50_ms_{width}": load.percentile_ms(0.5),
                f"p99_ms_{width}": load.percentile_ms(0.99),
                f"cpu_ms_{width}": cpu / len(load.latencies_s) * 1e3,
            }
        found["memory_mb"] = server.memory_mb()
        server.stop()
        return found

    def log_batch(self, folder: Path) -> dict[str, float]:
        """A thousand points a request over four connections: of ten metrics, and of a thousand."""
        server = self.up(folder)
        found: dict[str, float] = {}
        for metrics in (10, 1000):
            runs = [server.make_run() for _ in range(4)]
            requests = [batches(server.port, run, metrics) for run in runs]
            load, cpu = measured(server, requests)
            for run, sent in zip(runs, load.sent, strict=True):
                if server.last_step(run, "m0") != last_step(sent, metrics):
                    raise SystemExit("a point that was acknowledged is not there")
            found |= {
                f"points_per_s_{metrics}": load.per_second() * BATCH,
                f"p99_ms_{metrics}": load.percentile_ms(0.99),
                f"cpu_us_{metrics}": cpu / len(load.latencies_s) / BATCH * 1e6,
            }
        server.stop()
        return found

    def search(self, folder: Path) -> dict[str, float]:
        """The 100 newest of 100,000 runs, over eight connections."""
        port = free_port()
        server, _ = start(self.filled(folder, port), port, folder)
        server.rest()
        found: dict[str, float] = {}
        experiments = server.ask("experiments/search", {"max_results": 100})["experiments"]
        named = [
            each["experiment_id"] for each in experiments if each["name"].startswith("search ")
        ]
        for name, which in (("all", named), ("one", named[:1])):
            body = {"experiment_ids": which, "max_results": 100}
            if len(server.ask("runs/search", body)["runs"]) != 100:  # noqa: PLR2004 - asked for
                raise SystemExit("a search did not find a hundred runs")
            asked = post(port, f"{API}/runs/search", json.dumps(body).encode())
            load, cpu = measured(server, [lambda _n, asked=asked: asked] * 8)  # type: ignore[misc]
            found |= {
                f"per_s_{name}": load.per_second(),
                f"p50_ms_{name}": load.percentile_ms(0.5),
                f"p99_ms_{name}": load.percentile_ms(0.99),
                f"cpu_ms_{name}": cpu / len(load.latencies_s) * 1e3,
            }
        server.stop()
        return found

    def script(self, folder: Path) -> dict[str, float]:
        """The same script of MLflow's client: runs with params and metrics, a registered model."""
        server = self.up(folder)
        run_script(server, folder, runs=2)  # What is paid once a server.
        before = server.cpu_s()
        found = run_script(server, folder, runs=RUNS)
        found["server_cpu_s"] = server.cpu_s() - before
        server.stop()
        return found


def run_script(server: Server, folder: Path, *, runs: int) -> dict[str, float]:
    """Let MLflow's client run its script against a server; answer its wall time and its CPU."""
    python = os.environ["BENCHMARK_CLIENT"]
    script = Path(__file__).with_name("client_script.py")
    url = f"http://127.0.0.1:{server.port}"
    done = subprocess.run(
        [python, script, url, str(runs)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the script failed: {done.stderr.strip()[-300:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(server: Server, requests: list[Callable[[int], bytes]]) -> tuple[Load, float]:
    """Load a server; answer what came of it and the CPU it used meanwhile."""
    cpu: list[float] = []
    load = drive(
        server.port, requests, seconds=SECONDS, on_measured=lambda: cpu.append(server.cpu_s())
    )
    if load.failed:
        raise SystemExit(f"requests failed, by status: {load.failed}")
    return load, cpu[1] - cpu[0]


def points(port: int, run_id: str) -> Callable[[int], bytes]:
    """Make requests of one point each, all of one length."""
    body = '{"run_id":"%s","key":"rmse","value":%.6f,"timestamp":%d,"step":%8d}'
    head = post(port, f"{API}/runs/log-metric", (body % (run_id, 3, NOW_MS, 0)).encode())
    head = head[: head.index(b"\r\n\r\n") + 4]

    def request(step: int) -> bytes:
        return head + (body % (run_id, 3 + step % 97 / 97, NOW_MS + step, step)).encode()

    return request


def batches(port: int, run_id: str, metrics: int) -> Callable[[int], bytes]:
    """Make batches of so many metrics, a thousand points in all, each with steps of its own."""
    steps = BATCH // metrics
    point = '{"key":"m%d","value":%.6f,"timestamp":%d,"step":@%02d}'
    written = [
        point % (metric, 1 + step * metric % 97 / 97, NOW_MS + step, step)
        for step in range(steps)
        for metric in range(metrics)
    ]
    body = '{"run_id":"%s","metrics":[%s]}' % (run_id, ",".join(written))  # noqa: UP031

    def request(number: int) -> bytes:
        # The last two digits stand there already: at most a hundred steps a batch.
        first = str(number + FIRST_BATCH)
        return post(port, f"{API}/runs/log-batch", body.replace("@", first).encode())

    return request


def last_step(sent: int, metrics: int) -> int:
    """Tell the step of the last point in so many batches."""
    return (sent - 1 + FIRST_BATCH) * 100 + BATCH // metrics - 1
