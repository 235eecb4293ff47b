"""R13: a store that another process holds makes writers wait a bounded time, and readers not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.server.running import Answer, ask, running

from loopline.backend.local import LocalBackend
from loopline.errors import BackendUnavailableError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

HOLDERS = {
    "sqlite": """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
""",
    "postgresql": """
import psycopg, sys
connection = psycopg.connect(sys.argv[1])
connection.execute("SELECT pg_advisory_xact_lock(1280266064)")  # As `store.postgresql` does.
""",
    "a table": """
import psycopg, sys
connection = psycopg.connect(sys.argv[1])
connection.execute("LOCK TABLE ll_run IN ACCESS EXCLUSIVE MODE")  # As VACUUM FULL does.
""",
}


@contextmanager
def held(kind: str, database: str) -> Iterator[None]:
    """Have another process hold the store's write lock, or a table of it."""
    holding = HOLDERS[kind] + "print('held', flush=True)\nsys.stdin.readline()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", holding, database],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield
    process.communicate("\n")


@pytest.mark.deep
def test_a_table_that_somebody_locks_is_waited_for_a_bounded_time_by_reads_too(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopline.store.database.LOCK_WAIT_S", 1.0)
    address = postgres.new()
    backend = LocalBackend(address, home=tmp_path)
    started = f.RunStarted(run_id="r", experiment="taxifare", start_ms=1)
    batch = f.Batch(writer="w", start=0, end=1, facts=[started])
    with held("a table", address.text):
        with pytest.raises(BackendUnavailableError, match="has been locked for 1 s"):
            backend.call(ops.SearchRuns())
        with pytest.raises(BackendUnavailableError, match="has been locked for 1 s"):
            backend.send(batch)
    backend.send(batch)
    assert [run.run_id for run in backend.call(ops.SearchRuns()).runs] == ["r"]
    backend.close()


@pytest.mark.parametrize(
    ("kind", "wait_s"),
    [
        ("sqlite", 1.0),
        pytest.param("postgresql", 1.0, marks=pytest.mark.deep),
        pytest.param("sqlite", None, marks=pytest.mark.deep),  # As users have it.
    ],
)
def test_writers_are_told_to_come_back_and_readers_go_on(
    kind: str,
    wait_s: float | None,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if wait_s is not None:
        monkeypatch.setattr("loopline.store.database.LOCK_WAIT_S", wait_s)
    address, database = Address("home", str(tmp_path)), str(tmp_path / "loopline.db")
    if kind == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        address = postgres.new()
        database = address.text

    def make(name: str) -> tuple[int, str | None, str]:
        body = json.dumps({"name": name}).encode()
        answer = ask(
            url,
            "POST",
            "/api/v1/ops/ensure-experiment",
            body=body,
            headers={"Content-Type": "application/json"},
            timeout_s=60,
        )
        return answer.status, answer.headers["Retry-After"], answer.text

    with running(address) as url:
        assert make("night")[0] == 200
        answers: list[tuple[int, str | None, str]] = []
        reads = 0
        with held(kind, database):
            writers = [
                threading.Thread(target=lambda: answers.append(make("day"))) for _ in range(3)
            ]
            for writer in writers:
                writer.start()
            while any(writer.is_alive() for writer in writers):
                assert ask(url, "GET", "/experiments/1").status in {200, 404}
                assert ask(url, "GET", "/").status == 200
                reads += 1
                time.sleep(0.05)
        assert [answer[0] for answer in answers] == [503] * 3
        assert all(answer[1] is not None and "locked" in answer[2] for answer in answers)
        assert reads > 3
        assert make("day")[0] == 200


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.deep)])
def test_points_of_mlflows_clients_wait_bounded_and_what_waits_keeps_no_reader(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest acknowledged points may lie in the inbox then, which a reader cannot empty."""
    monkeypatch.setattr("loopline.store.database.LOCK_WAIT_S", 1.5)
    monkeypatch.setattr("loopline.server.commits.SETTLE_S", 60.0)
    address, database = Address("home", str(tmp_path)), str(tmp_path / "loopline.db")
    if kind == "postgresql":
        address = request.getfixturevalue("postgres").new()
        database = address.text

    def mlflow(path: str, **fields: object) -> Answer:
        return ask(
            url, "POST", f"/api/2.0/mlflow/{path}", json.dumps(fields).encode(),
            {"Content-Type": "application/json"}, timeout_s=60,
        )  # fmt: skip

    def log(step: int) -> Answer:
        return mlflow("runs/log-metric", run_id=run, key="rmse", value=step, step=step, timestamp=1)

    def history() -> list[int]:
        path = f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=rmse"
        answer = ask(url, "GET", path)
        assert answer.status == 200
        return [point["step"] for point in json.loads(answer.body).get("metrics", [])]

    with running(address) as url:
        run = json.loads(mlflow("runs/create", experiment_id="0").body)["run"]["info"]["run_id"]
        assert log(0).status == 200
        assert history() == [0]
        assert log(1).status == 200
        answers: list[Answer] = []
        reads = 0
        with held(kind, database):
            writers = [threading.Thread(target=lambda: answers.append(log(7))) for _ in range(3)]
            for writer in writers:
                writer.start()
            while any(writer.is_alive() for writer in writers):
                assert history()[:1] == [0]
                assert ask(url, "GET", f"/api/2.0/mlflow/runs/get?run_id={run}").status == 200
                assert mlflow("runs/search", experiment_ids=["0"]).status == 200
                reads += 1
        assert [answer.status for answer in answers] == [503] * 3
        for answer in answers:
            assert answer.headers["Retry-After"]
            assert json.loads(answer.body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert reads > 1  # One of them waits for a moment, and the others read on.
        assert log(2).status == 200
        assert history() == [0, 1, 2]  # What was refused is not there, what was taken is.
