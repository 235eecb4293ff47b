"""R1: a point that an MLflow client was told is logged survives ``kill -9`` of the server, once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 6


class Client(threading.Thread):
    """Logs point after point, each until it is answered, as MLflow's client tries again.

    Attributes:
        acknowledged: Points answered for.
        broken: Requests that got no answer.
    """

    def __init__(self, url: str, run_id: str) -> None:
        super().__init__(daemon=True)
        self.run_id = run_id
        self.acknowledged = self.broken = 0
        self.stop = threading.Event()
        self._host = url.removeprefix("http://")

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=20)
        while not self.stop.is_set():
            step = self.acknowledged
            point = {"run_id": self.run_id, "key": "rmse", "value": step / 4, "step": step,
                     "timestamp": step}  # fmt: skip
            try:
                connection.request(
                    "POST", "/api/2.0/mlflow/runs/log-metric", json.dumps(point),
                    {"Content-Type": "application/json"},
                )  # fmt: skip
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (200, b"{}")
            except (OSError, http.client.HTTPException):
                connection.close()
                self.broken += 1
                time.sleep(0.02)
            else:
                self.acknowledged += 1
        connection.close()


def kill_again_and_again(home: Path, *, kills: int, points: int) -> None:
    random = Random(20221201)  # noqa: S311 - a repeatable choice, no secret
    with ServerProcess(str(home), home) as server:
        backend = HttpBackend(Address("http", server.url))
        clients = []
        for number in range(CLIENTS):
            host = server.url.removeprefix("http://")
            connection = http.client.HTTPConnection(host)
            connection.request(
                "POST", "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0"}),
                {"Content-Type": "application/json"},
            )  # fmt: skip
            run = json.loads(connection.getresponse().read())["run"]
            connection.close()
            clients.append(Client(server.url, run["info"]["run_id"]))
            clients[number].start()
        for kill in range(kills):
            goal = points * (kill + 1) // kills
            while sum(client.acknowledged for client in clients) < goal:
                assert all(client.is_alive() for client in clients)
                time.sleep(0.001)
            time.sleep(random.random() / 50)
            server.kill()
            server.start()
        for client in clients:
            client.stop.set()
            client.join()
        assert sum(client.broken for client in clients) >= kills
        for client in clients:
            history = backend.call(ops.GetMetricHistory(run_id=client.run_id, key="rmse"))
            assert history.steps == list(range(client.acknowledged))
            assert history.values == [step / 4 for step in range(client.acknowledged)]
            run = backend.call(ops.GetRun(run_id=client.run_id))
            assert run.metrics["rmse"].count == client.acknowledged
        backend.close()


def test_a_killed_server_has_every_point_that_it_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, kills=2, points=1_000)


@pytest.mark.deep
def test_a_server_killed_thirty_times_has_every_point_that_it_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, kills=30, points=30_000)
