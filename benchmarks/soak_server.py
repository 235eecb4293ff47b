"""A thousand open connections with mixed load: no error, no growth, and nobody waits long.

    PYTHONPATH=. python benchmarks/soak_server.py               # one minute
    PYTHONPATH=. python benchmarks/soak_server.py --seconds 600

Each connection asks something about every two seconds, as a training or a page does that stays
open: most log a point, some ask for their run, for the newest runs, or for the start page. Latency
counts from the moment a request was due, so that one which could not be sent in time is not
forgiven. Memory is looked at twenty times. A server that has just started fills what it keeps:
pages of its database, buffers of a thousand connections, the arenas of its threads. So what counts
as growth is what comes after the first quarter, and how fast it still goes in the second half, by
the line of least squares: what is kept levels off, and a leak does not. Linux only.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import select
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("peers")))

from load import Connection, post
from server_loopline import command
from server_works import API, Server, free_port, start

CONNECTIONS = 1_000
PAUSE_S = 2.0
RUNS = 100
#: What is asked, of a hundred requests.
MIX = {"log-metric": 80, "runs/get": 10, "runs/search": 6, "page": 4}
MOST_P99_MS, MOST_GROWTH_MB = 250.0, 10.0
#: Of the second half, where it is long enough to tell.
MOST_MB_A_MINUTE, LONG_S = 0.5, 300.0
#: How often memory is looked at.
LOOKS = 20


class Client:
    """One connection, and what it asks next."""

    def __init__(self, port: int, run_id: str, seed: int) -> None:
        self.choose = random.Random(seed)  # noqa: S311 - repeatable, no secret
        self.port, self.run_id, self.seed = port, run_id, seed
        self.kind = ""
        self.connection = Connection(port, self.request)

    def request(self, number: int) -> bytes:
        """Write a request."""
        if self.kind == "log-metric":
            point = {"run_id": self.run_id, "key": f"m{self.seed % 10}", "value": number / 7,
                     "step": number * CONNECTIONS + self.seed, "timestamp": 1}  # fmt: skip
            return post(self.port, f"{API}/runs/log-metric", json.dumps(point).encode())
        if self.kind == "runs/search":
            asked = {"experiment_ids": ["0"], "max_results": 20}
            return post(self.port, f"{API}/runs/search", json.dumps(asked).encode())
        path = "/" if self.kind == "page" else f"{API}/runs/get?run_id={self.run_id}"
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()

    def ask(self, due: float) -> None:
        """Send the next request, which was due then."""
        (self.kind,) = self.choose.choices(list(MIX), list(MIX.values()))
        self.connection.send()
        self.connection.began = due

    def next_due(self, now: float) -> float:
        """Choose when to ask again."""
        return now + PAUSE_S * (0.5 + self.choose.random())


def soak(
    server: Server, seconds: float
) -> tuple[dict[str, list[float]], Counter[str], list[float]]:
    """Keep the load up; answer latencies and failures by kind, and memory as time goes by."""
    runs = [server.make_run() for _ in range(RUNS)]
    clients = [Client(server.port, runs[seed % RUNS], seed) for seed in range(CONNECTIONS)]
    poll = select.epoll()
    by_number = {}
    for client in clients:
        by_number[client.connection.socket.fileno()] = client
        poll.register(client.connection.socket, select.EPOLLIN)
    began = time.perf_counter()
    due = [(client.next_due(began - PAUSE_S / 2), client.seed) for client in clients]
    heapq.heapify(due)
    latencies: dict[str, list[float]] = {kind: [] for kind in MIX}
    failures: Counter[str] = Counter()
    memory: list[float] = []
    while (now := time.perf_counter()) < began + seconds:
        while due and due[0][0] <= now:
            at, seed = heapq.heappop(due)
            clients[seed].ask(at)
        for number, _ in poll.poll(max(0.0, min(0.5, due[0][0] - now)) if due else 0.5):
            client = by_number[number]
            if not client.connection.receive():
                continue
            now = time.perf_counter()
            latencies[client.kind].append((now - client.connection.began) * 1e3)
            if (status := client.connection.got[9:12]) != b"200":
                failures[f"{client.kind} {status.decode()}"] += 1
            heapq.heappush(due, (client.next_due(now), client.seed))
        if now >= began + seconds * (len(memory) + 1) / LOOKS:
            memory.append(server.memory_mb())
    while len(memory) < LOOKS:
        memory.append(server.memory_mb())
    return latencies, failures, memory


def slope_of(values: list[float]) -> float:
    """Tell by how much values go up from one to the next, by the line of least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    over = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    return over / sum((place - middle) ** 2 for place in range(len(values)))


def main() -> None:
    """Soak a server; fail when it did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server, _ = start(command(Path(folder), port), port, Path(folder))
        cpu_s = server.cpu_s()
        latencies, failures, memory = soak(server, seconds)
        cpu_s = server.cpu_s() - cpu_s
        server.stop()
    every = sorted(latency for found in latencies.values() for latency in found)
    print(
        f"{CONNECTIONS:,} connections, {seconds:g} s, {len(every):,} requests, "
        f"{cpu_s / len(every) * 1e3:.2f} ms of CPU each, load {os.getloadavg()[0]:.1f}"
    )
    for kind, found in [*latencies.items(), ("all", every)]:
        found.sort()
        middle, last = found[len(found) // 2], found[int(len(found) * 0.99)]
        print(f"{kind:12} {len(found):8,}  p50 {middle:7.1f} ms  p99 {last:7.1f} ms")
    growth = memory[-1] - memory[LOOKS // 4 - 1]
    a_minute = slope_of(memory[LOOKS // 2 :]) * LOOKS / seconds * 60
    print(f"memory, MB: {', '.join(f'{each:.1f}' for each in memory)}")
    print(
        f"since the first quarter {growth:+.1f} MB, in the second half {a_minute:+.2f} MB a "
        f"minute; failures: {dict(failures)}"
    )
    p99 = every[int(len(every) * 0.99)]
    grows = growth > MOST_GROWTH_MB or (seconds >= LONG_S and a_minute > MOST_MB_A_MINUTE)
    if failures or grows or p99 > MOST_P99_MS:
        sys.exit(
            f"not as claimed: {dict(failures)}, {growth:.1f} MB more, of late {a_minute:.2f} MB a "
            f"minute, p99 {p99:.0f} ms"
        )


if __name__ == "__main__":
    main()
