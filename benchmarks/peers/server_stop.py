"""A server is stopped, killed, and kept from writing while clients log: how long is it away?"""

from __future__ import annotations

import resource
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from server_works import Server, free_port, points, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["stop"]

CLIENTS = 8
#: How long clients log before something happens.
SECONDS = 3.0
#: How long the disk takes nothing.
FULL_S = 2.0
OK = b"HTTP/1.1 200"
#: Come again: the disk is full.
FULL = b"HTTP/1.1 507"


class Client(threading.Thread):
    """Logs a point a request until the server is gone; goes on when the disk is full."""

    def __init__(self, port: int, run_id: str) -> None:
        super().__init__(daemon=True)
        self.run_id = run_id
        self.step = -1
        self.acknowledged = -1
        self.count = 0
        self.was_full = False
        self.good_s = 0.0
        #: Answers that are neither.
        self.failed = 0
        self._request = points(port, run_id)
        self._port = port

    def run(self) -> None:
        """Log."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as server:
            while self._once(server):
                pass

    def _once(self, server: socket.socket) -> bool:
        self.step += 1
        try:
            server.sendall(self._request(self.step))
            answer = server.recv(65536)
        except OSError:
            answer = b""
        if answer.startswith(OK):
            self.acknowledged = self.step
            self.count += 1
            self.good_s = time.perf_counter()
        elif answer.startswith(FULL):
            self.was_full = True
            time.sleep(0.01)
        elif answer:
            self.failed += 1
        return bool(answer) and b"connection: close" not in answer.lower()


def stop(command: Callable[[Path, int], list[str]], folder: Path) -> dict[str, float]:
    """Stop a server under load, start it; fill its disk and free it; kill it, and start it."""
    port = free_port()
    server, _ = start(command(folder, port), port, folder)
    runs = [server.make_run() for _ in range(CLIENTS)]

    clients = load(port, runs)
    began = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    found = {"stop_s": time.perf_counter() - began}
    found["per_s"] = sum(client.count for client in clients) / SECONDS
    join(clients)
    failed = sum(client.failed for client in clients)

    server, found["ready_s"] = start(command(folder, port), port, folder)
    check(server, clients)
    runs = [server.make_run() for _ in range(CLIENTS)]
    clients = load(port, runs)
    found["disk_s"] = fill_and_free(server, clients)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    join(clients)
    server, found["recover_s"] = start(command(folder, port), port, folder)
    check(server, clients)
    server.stop()
    found["failed"] = failed + sum(client.failed for client in clients)
    return found


def load(port: int, runs: list[str]) -> list[Client]:
    """Let a client log to each run for a while."""
    clients = [Client(port, run) for run in runs]
    for client in clients:
        client.start()
    time.sleep(SECONDS)
    return clients


def join(clients: list[Client]) -> None:
    """Wait until all have seen that the server is gone."""
    for client in clients:
        client.join(60)


def fill_and_free(server: Server, clients: list[Client]) -> float:
    """Let the server's files grow no more, and again; tell when points are taken after that."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    time.sleep(FULL_S)
    if not all(client.was_full for client in clients):
        raise SystemExit("a full disk was not answered with 507")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    freed = time.perf_counter()
    deadline = freed + 60
    while any(client.good_s < freed for client in clients) and time.perf_counter() < deadline:
        time.sleep(0.005)
    return time.perf_counter() - freed


def check(server: Server, clients: list[Client]) -> None:
    """See that every point is there that was acknowledged."""
    for client in clients:
        if server.last_step(client.run_id, "rmse") < client.acknowledged:
            raise SystemExit("a point that was acknowledged is not there")
