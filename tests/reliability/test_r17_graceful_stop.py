"""R17: a server told to stop under the load of MLflow's clients answers what it took, and goes."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from typing import TYPE_CHECKING

from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 8
JSON = {"Content-Type": "application/json"}


class Client(threading.Thread):
    """Logs point after point, until nobody listens any more.

    Attributes:
        acknowledged: Points answered for.
        wrong: Answers that were none of those a stopping server may give.
    """

    def __init__(self, url: str, run_id: str, key: str) -> None:
        super().__init__(daemon=True)
        self._host, self._run_id, self._key = url.removeprefix("http://"), run_id, key
        self.acknowledged = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while True:
            connection = http.client.HTTPConnection(self._host, timeout=20)
            step = self.acknowledged
            point = {"key": self._key, "value": step, "step": step, "timestamp": 1000 + step}
            try:
                connection.request(
                    "POST", "/api/2.0/mlflow/runs/log-metric",
                    json.dumps({"run_id": self._run_id, **point}), JSON,
                )  # fmt: skip
                answer = connection.getresponse()
                if (answer.status, answer.read()) != (200, b"{}"):
                    self.wrong.append(f"{answer.status}")
            except http.client.IncompleteRead as error:  # Half an answer.
                self.wrong.append(repr(error))
                return
            except (ConnectionError, http.client.RemoteDisconnected):
                return
            finally:
                connection.close()
            self.acknowledged += 1


def test_a_server_that_stops_under_load_has_all_that_it_answered_for(tmp_path: Path) -> None:
    with ServerProcess(str(tmp_path), tmp_path) as server:
        backend = HttpBackend(Address("http", server.url))
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        connection.request("POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id": "0"}', JSON)
        run_id = json.loads(connection.getresponse().read())["run"]["info"]["run_id"]
        connection.close()
        for _ in range(2):
            keys = [f"rmse-{time.monotonic_ns()}-{number}" for number in range(CLIENTS)]
            clients = [Client(server.url, run_id, key) for key in keys]
            for client in clients:
                client.start()
            until = time.monotonic() + 30
            while sum(client.acknowledged for client in clients) < 200:
                assert time.monotonic() < until
                time.sleep(0.005)
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(10) == 0
            for client in clients:
                client.join()
            assert [client.wrong for client in clients] == [[]] * CLIENTS
            server.kill()
            server.start()
            for client, key in zip(clients, keys, strict=True):
                history = backend.call(ops.GetMetricHistory(run_id=run_id, key=key))
                # Neither lost nor taken without an answer: what had no answer was not taken up.
                assert history.steps == list(range(client.acknowledged))
        backend.close()
