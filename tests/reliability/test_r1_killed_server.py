"""R1: what a server acknowledged survives its ``kill -9``, once and in order."""

from __future__ import annotations

import struct
import threading
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING, TypeVar

import pytest
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.errors import BackendUnavailableError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres import PostgresServer

CLIENTS = 4
POINTS = 50
#: Batches between two commands of a client.
BETWEEN = 8

R = TypeVar("R")


class Client(threading.Thread):
    """Sends batch after batch, and now and then a command and a file; all until answered.

    Attributes:
        acknowledged: Batches that the server answered for.
        experiments: Names of those that it answered it had made.
        blobs: Hashes of the files that it answered it had.
        broken: Sends that were under way when the server died.
        is_sending: Whether a request is with the server.
    """

    def __init__(self, url: str, number: int, folder: Path) -> None:
        super().__init__(daemon=True)
        self.run_id = f"night-{number}"
        self.acknowledged = 0
        self.experiments: list[str] = []
        self.blobs: list[str] = []
        self.broken = 0
        self.is_sending = False
        self.stop = threading.Event()
        self._backend = HttpBackend(Address("http", url), timeout_s=20)
        self._file = folder / self.run_id

    def run(self) -> None:
        while not self.stop.is_set():
            batch = _batch(self.run_id, self.acknowledged)
            receipt = self._insist(partial(self._backend.send, batch))
            assert receipt.acknowledged == batch.end
            self.acknowledged += 1
            if self.acknowledged % BETWEEN == 0:
                self._command_and_upload()
        self._backend.close()

    def _command_and_upload(self) -> None:
        name = f"{self.run_id} {self.acknowledged}"
        command = ops.CreateExperiment(name=name)
        # With a key: without one, to send it again after a lost answer would be refused.
        self._insist(partial(self._backend.call, command, key=name))
        self.experiments.append(name)
        self._file.write_bytes(f"fares of {name}\n".encode() * 5000)
        self.blobs.append(self._insist(partial(self._backend.put_blob, self._file))[0])

    def _insist(self, send: Callable[[], R]) -> R:
        while True:
            self.is_sending = True
            try:
                return send()
            except BackendUnavailableError:
                self.broken += 1
                time.sleep(0.02)
            finally:
                self.is_sending = False


def _batch(run_id: str, number: int) -> f.Batch:
    steps = struct.pack(f"<{POINTS}q", *range(number * POINTS, (number + 1) * POINTS))
    values = struct.pack(f"<{POINTS}d", *(number + place / 64 for place in range(POINTS)))
    facts: list[f.Fact] = [
        f.RunStarted(run_id=run_id, experiment="wagoncab taxifare", start_ms=1000),
        f.MetricPoints(run_id=run_id, key="rmse", steps=steps, timestamps_ms=steps, values=values),
        f.TagsSet(run_id=run_id, tags={"batches": str(number + 1)}),
    ]
    return f.Batch(writer=run_id, start=number, end=number + 1, facts=facts[number > 0 :])


def kill_again_and_again(uri: str, home: Path, *, kills: int, batches: int) -> int:
    """Kill a server under load; return how many acknowledged points were looked for."""
    random = Random(20221201)  # noqa: S311 - a repeatable choice, no secret
    with ServerProcess(uri, home) as server:
        clients = [Client(server.url, number, home) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        hits = 0
        for kill in range(kills):
            goal = batches * (kill + 1) // kills
            while sum(client.acknowledged for client in clients) < goal:
                assert all(client.is_alive() for client in clients)
                time.sleep(0.001)
            time.sleep(random.random() / 50)
            hits += any(client.is_sending for client in clients)
            server.kill()
            server.start()
        for client in clients:
            client.stop.set()
            client.join()
        assert hits > kills // 2
        assert sum(client.broken for client in clients) >= hits
        backend = HttpBackend(Address("http", server.url))
        for client in clients:
            run = backend.call(ops.GetRun(run_id=client.run_id))
            history = backend.call(ops.GetMetricHistory(run_id=client.run_id, key="rmse"))
            assert history.steps == list(range(client.acknowledged * POINTS))
            assert history.values[::POINTS] == list(map(float, range(client.acknowledged)))
            assert run.metrics["rmse"].count == len(history.steps)
            assert run.tags["batches"] == str(client.acknowledged)
            for digest in client.blobs:
                assert b"".join(backend.read_blob(digest)).startswith(b"fares of ")
        made = sorted(each.name for each in backend.call(ops.ListExperiments()))
        named = [name for client in clients for name in client.experiments]
        assert made == sorted([*named, "Default", "wagoncab taxifare"])  # Each once.
        backend.close()
    return sum(client.acknowledged for client in clients) * POINTS


def test_a_killed_server_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    assert kill_again_and_again(str(tmp_path), tmp_path, kills=2, batches=80) > 0


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_twenty_kills_lose_none_of_a_hundred_thousand_points(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    uri = str(tmp_path)
    if kind == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        uri = postgres.new().text

    points = kill_again_and_again(uri, tmp_path, kills=20, batches=2200)

    assert points >= 100_000
    print(f"{points:,} acknowledged points, 20 kills, {kind}: 0 lost")
