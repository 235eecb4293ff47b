"""What only a backend with a network between can get wrong."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.server.running import running

from loopline.backend.http import HttpBackend
from loopline.errors import (
    BackendUnavailableError,
    IntegrityError,
    InvalidInputError,
    LooplineError,
    StorageFullError,
)
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUESTION = ops.ListExperiments()


@contextmanager
def answering(
    *answers: bytes | Callable[[socket.socket], None],
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each connection with the next of some bytes, and keeps what came."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def work() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                seen.append(read_request(connection))
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.close()
        thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    """Read a request to its end, as its Content-Length tells."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def backend_at(url: str, timeout_s: float = 10) -> HttpBackend:
    return HttpBackend(Address("http", url), timeout_s=timeout_s)


EMPTY_LIST = http("200 OK", b"\x90", "application/msgpack")


def test_a_server_that_is_not_there_is_named_with_the_next_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(BackendUnavailableError, match="loopline server") as caught:
        backend_at(url).call(QUESTION)
    assert url in str(caught.value)


def test_a_request_that_broke_off_is_sent_again_with_the_same_key() -> None:
    hang_up = b""
    answer = http("200 OK", b"\xc0", "application/msgpack")  # None: nothing is due.
    with answering(hang_up, answer) as (url, seen):
        assert backend_at(url).call(ops.ClaimFlowRun(worker="cab-7")) is None

    keys = [
        line
        for request in seen
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"idempotency-key:")
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_question_carries_no_key() -> None:
    with answering(EMPTY_LIST) as (url, seen):
        assert backend_at(url).call(QUESTION) == []
    assert b"idempotency-key" not in seen[0].lower()


def test_a_server_that_always_hangs_up_is_unavailable() -> None:
    with (
        answering(b"", b"", b"") as (url, seen),
        pytest.raises(BackendUnavailableError, match="broke off"),
    ):
        backend_at(url).call(QUESTION)
    assert len(seen) == 3


def test_an_answer_that_takes_too_long_is_not_asked_for_twice() -> None:
    heard = threading.Event()

    def hold(_connection: socket.socket) -> None:
        heard.wait(10)

    with answering(hold) as (url, seen):
        with pytest.raises(BackendUnavailableError, match="did not answer within"):
            backend_at(url, timeout_s=0.2).call(QUESTION)
        heard.set()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("503 Service Unavailable", BackendUnavailableError),
        ("429 Too Many Requests", BackendUnavailableError),
        ("507 Insufficient Storage", StorageFullError),
        ("400 Bad Request", InvalidInputError),
    ],
)
def test_a_status_without_a_name_of_ours_still_becomes_our_error(
    status: str, kind: type[LooplineError]
) -> None:
    body = b'{"error_code": "X", "message": "Come back in a second."}'
    with answering(http(status, body)) as (url, _), pytest.raises(kind, match="Come back"):
        backend_at(url).call(QUESTION)


def test_a_page_of_another_program_is_told_apart_from_an_answer() -> None:
    page = http("200 OK", b"<html>Welcome to nginx</html>", "text/html")
    with (
        answering(page) as (url, _),
        pytest.raises(BackendUnavailableError, match="not as a Loopline server"),
    ):
        backend_at(url).call(QUESTION)


def test_a_blob_with_a_flipped_bit_is_not_taken() -> None:
    damaged = http("200 OK", b"not the model", "application/octet-stream")
    with answering(damaged) as (url, _), pytest.raises(IntegrityError, match="other bytes"):
        list(backend_at(url).read_blob("0" * 64))


def test_a_download_that_ends_early_goes_on_and_is_an_error_when_nothing_more_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loopline.backend.http_blobs.PAUSES_S", (0.0, 0.0))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    rest = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 91\r\n\r\n"
    with answering(head, rest, rest) as (url, seen):
        with pytest.raises(BackendUnavailableError, match="broke off at byte 9 "):
            list(backend_at(url).read_blob("0" * 64))
        assert [b"Range: bytes=9-\r\n" in each for each in seen] == [False, True, True]


def test_what_cannot_be_packed_is_refused_before_it_is_sent() -> None:
    asked = ops.CreateFlowRun(project="wagoncab", name="taxifare", parameters={"n": 2**70})
    with pytest.raises(InvalidInputError, match="cannot be sent"):
        backend_at("http://127.0.0.1:1").call(asked)


@pytest.mark.parametrize("text", ["http://", "http://:5050", "http://localhost:notaport"])
def test_an_address_without_a_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="http://localhost:5050"):
        backend_at(text)


def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    home = Address("home", str(tmp_path / ".loopline"))
    with running(home) as url:
        port = int(url.rpartition(":")[2])
        backend = backend_at(url)
        backend.call(QUESTION)
    with running(home, port=port):
        assert [one.name for one in backend.call(QUESTION)] == ["Default"]
    backend.close()


def test_a_forked_child_does_not_speak_into_its_parents_connection(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path / ".loopline"))) as url:
        backend = backend_at(url)
        backend.call(QUESTION)
        kept = [connection.sock.getsockname() for connection in backend._connections._idle]

        child = multiprocessing.get_context("fork").Process(
            target=exit_with_answer, args=(backend,)
        )
        child.start()
        child.join(20)

        assert child.exitcode == 0
        backend.call(QUESTION)
        assert [one.sock.getsockname() for one in backend._connections._idle] == kept
        backend.close()


def exit_with_answer(backend: HttpBackend) -> None:
    assert not backend._connections._idle
    backend.call(QUESTION)
    os._exit(0)
