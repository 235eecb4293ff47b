"""HTTP itself: smuggled requests, half-sent ones, pipelines, odd heads, bombs and deep bodies."""

from __future__ import annotations

import gzip
import re
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running

from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from tests.security.target import Target

STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
POST = b"POST /api/2.0/mlflow/runs/create HTTP/1.1\r\n"
TYPE = b"Content-Type: application/json\r\n"


def statuses(heard: bytes) -> list[int]:
    return [int(found) for found in STATUS.findall(heard)]


AMBIGUOUS = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a signed length": b"Content-Length: +2\r\n\r\n{}",
    "a negative length": b"Content-Length: -2\r\n\r\n{}",
    "a hex length": b"Content-Length: 0x2\r\n\r\n{}",
    "no length at all": b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "not chunked last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked, hidden": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a bad chunk size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "no line end after a chunk": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_a_request_that_two_servers_would_cut_differently_is_refused(
    target: Target, kind: str
) -> None:
    smuggled = b"GET /version HTTP/1.1\r\n" + target.host + b"\r\n"
    said = POST + target.host + TYPE + AMBIGUOUS[kind] + smuggled
    heard = target.talk(said, timeout_s=2)
    assert 200 not in statuses(heard)
    assert b'"name":"loopline"' not in heard  # The second one was not answered.


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 500, b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\n{host}X: a\0b\r\n\r\n",
        b"GET /health HTTP/1.1\r\n{host}X: a\rb\r\n\r\n",
        b"CONNECT canary:80 HTTP/1.1\r\n{host}\r\n",
        b"TRACE /health HTTP/1.1\r\n{host}\r\n", b"OPTIONS * HTTP/1.1\r\n{host}\r\n",
        b"GET /%zz HTTP/1.1\r\n{host}\r\n", b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\n{host}\r\n",
        b"GET /health HTTP/1.1\r\n{host}X: " + b"y" * 200_000,
        b"GET /health HTTP/1.1\r\n{host}"
        + b"".join(b"X-%d: y\r\n" % n for n in range(9000)) + b"\r\n",
    ],
)  # fmt: skip
def test_an_odd_head_is_refused(target: Target, said: bytes) -> None:
    heard = target.talk(said.replace(b"{host}", target.host), timeout_s=1)
    # A protocol nobody knows may be hung up on without a word.
    assert all(400 <= status < 500 for status in statuses(heard)), heard[:300]


def test_it_is_no_proxy(target: Target) -> None:
    for method in (b"GET", b"POST", b"CONNECT"):
        target.talk(
            b"%s %s/x HTTP/1.1\r\n%s\r\n" % (method, target.canary.url.encode(), target.host),
            timeout_s=0.5,
        )
    assert target.canary.heard == []


def test_pipelined_requests_are_answered_each_in_turn(target: Target) -> None:
    one = b"GET /health HTTP/1.1\r\n%s\r\n" % target.host
    other = b"GET /nothing HTTP/1.1\r\n%sConnection: close\r\n\r\n" % target.host
    assert statuses(target.talk(one * 40 + other)) == [200] * 40 + [404]


def test_a_bomb_is_not_unpacked(target: Target) -> None:
    bomb = gzip.compress(b'{"experiment_id":"' + b"0" * 50_000_000 + b'"}')
    answer = target.send(
        "POST", "/api/2.0/mlflow/runs/create", bomb,
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )  # fmt: skip
    assert answer.status == 400


@pytest.mark.parametrize("depth", [1_000, 100_000, 2_000_000])
@pytest.mark.parametrize("kind", [b"[]", b'{"a":}'])
def test_a_deep_body_is_refused(target: Target, depth: int, kind: bytes) -> None:
    body = kind[:-1] * depth + b"1" + kind[-1:] * depth
    for path in ("/api/2.0/mlflow/runs/create", "/api/v1/ops/list-experiments"):
        whole = b'{"experiment_id":' + body + b"}"
        assert target.send("POST", path, whole).status in {400, 413}


def test_a_body_that_is_too_long_is_refused_before_it_comes(target: Target) -> None:
    for path in (b"/api/2.0/mlflow/runs/create", b"/api/2.0/mlflow/runs/log-batch"):
        head = b"POST %s HTTP/1.1\r\n%s%sContent-Length: 99999999999\r\n\r\n{"
        assert statuses(target.talk(head % (path, target.host, TYPE), timeout_s=1)) == [413]


def test_more_entries_than_anybody_needs_are_refused(target: Target) -> None:
    tags = [{"key": f"t{number}", "value": ""} for number in range(10_001)]
    answer = target.post("runs/create", {"experiment_id": "0", "tags": tags})
    assert answer.status == 400
    assert "10,000" in answer.text


@pytest.mark.parametrize(
    "filter_",
    [
        "(" * 200_000, " AND ".join(["params.a = '1'"] * 5_000), "NOT " * 20_000 + "params.a='1'",
        "params.a LIKE '" + "a%" * 40 + "b'", "metrics.a > " + "9" * 100_000, "metrics.a > 1e99999",
        "params.`" + "a" * 100_000 + "` = '1'", " " * 1_000_000, "params.a = '" + "''" * 100_000,
        "attributes.run_id IN (" + ",".join(["'a'"] * 50_000) + ")",
        "tags." + "a." * 50_000 + "a = '1'", "params.a ILIKE '" + "_%" * 2_000 + "'",
    ],
)  # fmt: skip
def test_a_filter_made_to_be_slow_is_refused_or_answered(target: Target, filter_: str) -> None:
    fields = {"experiment_ids": ["0"], "filter": filter_}
    assert target.post("runs/search", fields).status in {200, 400}


def test_hundreds_of_half_sent_requests_starve_nobody(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path))) as url, ExitStack() as open_ones:
        port = int(url.rpartition(":")[2])
        host = b"Host: 127.0.0.1:%d\r\n" % port
        heads = [b"GET /health HTTP/1.1\r\nHos", b"",
                 POST + host + TYPE + b"Content-Length: 30\r\n\r\n{"]  # fmt: skip
        for said in heads[:2] * 100 + heads[2:] * 540:
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(said)
        made = ask(url, "POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id":"0"}',
                   {"Content-Type": "application/json"})  # fmt: skip
        assert made.status == 200


@pytest.mark.parametrize("route", ["runs/create", "runs/log-metric"])
@pytest.mark.parametrize("said", [b"", b"{"])
def test_a_body_that_stops_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, said: bytes
) -> None:
    monkeypatch.setattr("loopline.server.bodies.SILENCE_S", 0.2)
    with running(Address("home", str(tmp_path))) as url:
        port = int(url.rpartition(":")[2])
        head = f"POST /api/2.0/mlflow/{route} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head + TYPE + b"Content-Length: 30\r\n\r\n" + said)
            assert statuses(connection.recv(10_000)) == [408]


def test_a_body_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopline.server.bodies.SILENCE_S", 0.5)
    with running(Address("home", str(tmp_path))) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            host = b"Host: 127.0.0.1:%d\r\n" % port
            connection.sendall(POST + host + TYPE + b"Content-Length: 3000\r\n\r\n{")
            stop = threading.Event()

            def drip() -> None:
                while not stop.wait(0.05):
                    connection.sendall(b" ")

            dripping = threading.Thread(target=drip)
            dripping.start()
            try:
                assert statuses(connection.recv(10_000)) == [408]
            finally:
                stop.set()
                dripping.join()
