"""Requests that only record, byte by byte: they go past the framework, and past no check."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running

from loopline.server.mlflow.requests import MOST_BYTES
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Content-Type": "application/json"}
LOG = "/api/2.0/mlflow/runs/log-metric"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Address("home", str(tmp_path_factory.mktemp("home")))) as served:
        yield served


@pytest.fixture
def run_id(url: str) -> str:
    made = ask(url, "POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id": "0"}', JSON)
    return str(json.loads(made.body)["run"]["info"]["run_id"])


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10)


def written(url: str, body: bytes, *more: str, length: int | None = None) -> tuple[bytes, bytes]:
    """Write a request's head and body."""
    host = url.removeprefix("http://")
    lines = [f"POST {LOG} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *more]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode(), body


def point(run_id: str, value: float = 4.0) -> bytes:
    return json.dumps({"run_id": run_id, "key": "rmse", "value": value, "timestamp": 1}).encode()


def values(url: str, run_id: str) -> list[float]:
    path = f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=rmse"
    found = json.loads(ask(url, "GET", path).body)
    return [each["value"] for each in found.get("metrics", [])]


def test_a_body_that_comes_in_pieces_is_taken_as_one(url: str, run_id: str) -> None:
    head, body = written(url, point(run_id))
    with connect(url) as connection:
        for piece in (head, body[:5], body[5:9], body[9:]):
            connection.sendall(piece)
            time.sleep(0.02)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert values(url, run_id) == [4.0]


def test_a_body_that_does_not_come_is_given_up_and_logs_nothing(
    url: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopline.server.bodies.SILENCE_S", 0.1)
    head, body = written(url, point(run_id))
    with connect(url) as connection:
        connection.sendall(head + body[:-1])
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert values(url, run_id) == []


def test_a_client_that_goes_amid_its_body_logs_nothing(url: str, run_id: str) -> None:
    head, body = written(url, point(run_id))
    with connect(url) as connection:
        connection.sendall(head + body[:-1])
    assert values(url, run_id) == []


def test_two_requests_sent_at_once_are_answered_in_turn(url: str, run_id: str) -> None:
    first, second = (b"".join(written(url, point(run_id, value))) for value in (1.0, 2.0))
    with connect(url) as connection:
        connection.sendall(first + second)
        got = b""
        while got.count(b"HTTP/1.1 200") < 2 or not got.endswith(b"{}"):
            got += connection.recv(4000)
    assert sorted(values(url, run_id)) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({**JSON, "Origin": "http://elsewhere.example"}, 403),
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**JSON, "Host": "elsewhere.example"}, 403),
    ],
)
def test_the_gate_stands_before_it(
    url: str, run_id: str, headers: dict[str, str], status: int
) -> None:
    answer = ask(url, "POST", LOG, point(run_id), headers)
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert values(url, run_id) == ([4.0] if status == 200 else [])


def test_a_body_that_says_to_be_too_long_is_refused_before_it_comes(url: str) -> None:
    head, _ = written(url, b"", length=MOST_BYTES + 1)
    with connect(url) as connection:
        connection.sendall(head + b"{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
