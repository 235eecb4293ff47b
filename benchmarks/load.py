"""A load of HTTP requests over kept connections: each sends its next when its answer has come.

Run as a program, so that it has a process of its own:
``python benchmarks/load.py URL BODY_FILE CONNECTIONS SECONDS`` prints what it saw, in JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

__all__ = ["load"]


class _Client(asyncio.Protocol):
    """One connection; reads answers that say their length."""

    def __init__(self, request: bytes, seen: dict[str, list[float]], until: float) -> None:
        self.request, self.seen, self.until = request, seen, until
        self.buffer = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at : (lowered + b"\r").index(b"\r", at)])
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        now = time.perf_counter()
        self.seen.setdefault(head[9:12].decode(), []).append(now - self.began)
        if now >= self.until:
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.seen.setdefault(f"lost {exc}", []).append(0.0)
        if not self.over.done():
            self.over.set_result(None)


async def load(url: str, body: bytes, connections: int, seconds: float) -> dict[str, object]:
    """Ask for some seconds; return counts by status, requests a second, and latencies in ms."""
    parts = urlsplit(url)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    seen: dict[str, list[float]] = {}
    began = time.perf_counter()
    until = began + seconds
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(request, seen, until), parts.hostname, parts.port
        )
        clients.append(client)
    await asyncio.gather(*(client.over for client in clients))
    took = time.perf_counter() - began
    good = seen.get("200", [])
    spread = statistics.quantiles(good, n=100) if len(good) > 1 else [0.0] * 99
    return {
        "statuses": {status: len(times) for status, times in seen.items()},
        "per_second": len(good) / took,
        "p50_ms": spread[49] * 1000,
        "p99_ms": spread[98] * 1000,
    }


if __name__ == "__main__":
    url, body, connections, seconds = sys.argv[1:]
    found = uvloop.run(load(url, Path(body).read_bytes(), int(connections), float(seconds)))
    print(json.dumps(found))
