"""A load generator for HTTP servers: one process, requests made of templates, raw sockets.

Each connection is kept alive and has one request under way at a time; the next one is sent as soon
as the answer is whole. Nothing of an answer is read but its status and where it ends, so that the
generator takes some ten microseconds a request and the server is what is measured. Standard
library only.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "Load", "drive", "post"]

#: Bytes taken of a socket at once.
CHUNK = 1 << 20
#: Without an answer for so long, a load is given up.
PATIENCE_S = 60.0


class Load(NamedTuple):
    """What came of a load.

    Attributes:
        latencies_s: Of every answer within the measured time, sorted.
        seconds: How long was measured.
        failed: Answers that were no 200, by status.
        sent: Requests of each connection, also those before the measured time.
    """

    latencies_s: list[float]
    seconds: float
    failed: dict[int, int]
    sent: list[int]

    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Latency that so many of the answers stayed below."""
        return (
            self.latencies_s[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))]
            * 1e3
        )


def post(port: int, path: str, body: bytes) -> bytes:
    """Write a whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One that is kept alive, with one request under way at most.

    Attributes:
        began: When the request was sent.
        got: What has come of its answer.
    """

    def __init__(self, port: int, request: Callable[[int], bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.sent = 0
        self.began = 0.0
        self.got = b""
        self.need = 0

    def send(self) -> None:
        """Send the next request."""
        data = self.request(self.sent)
        self.sent += 1
        self.got, self.need = b"", 0
        self.began = time.perf_counter()
        self.socket.sendall(data)

    def receive(self) -> bool:
        """Take what has come; tell whether the answer is whole."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.got = self.got + data if self.got else data
        if not self.need:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self.got[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:  # In chunks.
                return self.got.endswith(b"0\r\n\r\n")
            self.need = end + 4 + int(head[at + 15 : at + 35].split(b"\r", 1)[0])
        return len(self.got) >= self.need


def _connect(
    port: int, requests: list[Callable[[int], bytes]]
) -> tuple[dict[int, Connection], select.epoll]:
    connections = {}
    poll = select.epoll()
    for request in requests:
        connection = Connection(port, request)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    return connections, poll


def drive(
    port: int,
    requests: list[Callable[[int], bytes]],
    *,
    seconds: float,
    warm_s: float = 1.0,
    on_measured: Callable[[], Any] = lambda: None,
) -> Load:
    """Keep as many connections busy as there are functions, each of which makes its n-th request.

    Args:
        port: Of the server, on this machine.
        requests: What each connection sends.
        seconds: How long to measure, after ``warm_s``.
        warm_s: Answers of so long do not count.
        on_measured: Called when the measured time begins and when it ends.
    """
    connections, poll = _connect(port, requests)
    for connection in connections.values():
        connection.send()
    latencies: list[float] = []
    failed: dict[int, int] = {}
    measured_from = time.perf_counter() + warm_s
    started = stop_at = 0.0
    busy = len(connections)
    while busy:
        ready = poll.poll(PATIENCE_S)
        if not ready:
            raise TimeoutError(f"no answer in {PATIENCE_S:g} s")
        for number, _ in ready:
            connection = connections[number]
            if not connection.receive():
                continue
            now = time.perf_counter()
            if not started and now >= measured_from:
                on_measured()
                started = time.perf_counter()
                stop_at = started + seconds
            elif started and now < stop_at:
                latencies.append(now - connection.began)
            status = int(connection.got[9:12])
            if status != 200:  # noqa: PLR2004 - HTTP
                failed[status] = failed.get(status, 0) + 1
            if stop_at and now >= stop_at:
                busy -= 1
                if busy == len(connections) - 1:
                    on_measured()
                continue
            connection.send()
    for connection in connections.values():
        connection.socket.close()
    return Load(sorted(latencies), seconds, failed, [each.sent for each in connections.values()])
