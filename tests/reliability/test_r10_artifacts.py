"""R10: an artifact is there whole or not at all, and a flipped bit never passes for the truth."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.blobs.local import LocalBlobs
from loopline.errors import BackendUnavailableError, IntegrityError
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = os.urandom(3 * 2**20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("artifacts")
    with ServerProcess(str(folder / "store"), folder) as server:
        yield server


def store_of(server: ServerProcess) -> Path:
    return Path(server.uri)


def head(server: ServerProcess, size: int, **headers: str) -> bytes:
    host = urlsplit(server.url).netloc
    lines = [f"PUT /api/v1/blobs HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n"]
    lines += [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return ("".join(lines) + "\r\n").encode()


def blobs_in(server: ServerProcess) -> set[str]:
    return {path.name for path in (store_of(server) / "blobs").glob("??/*")}


def put(server: ServerProcess, content: bytes, headers: dict[str, str]) -> int:
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
        connection.request("PUT", "/api/v1/blobs", content, headers)
        with connection.getresponse() as answer:
            return answer.status


@pytest.mark.parametrize(
    "cuts", [pytest.param(20, id="few"), pytest.param(1000, id="many", marks=pytest.mark.deep)]
)
def test_an_upload_that_is_cut_anywhere_leaves_nothing(server: ServerProcess, cuts: int) -> None:
    random = Random(20230101)  # noqa: S311 - a repeatable choice, no secret
    port = urlsplit(server.url).port
    before = blobs_in(server)
    hits = 0
    for _ in range(cuts):
        size = random.randrange(1, len(CONTENT))
        part = random.randrange(size)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head(server, size) + CONTENT[:part])
            hits += part > 0
    # The server finds out by and by that nothing more comes, and on a busy machine it takes up the
    # last uploads after the first ones are over: a moment without any is not yet the end.
    quiet, deadline = 0, time.monotonic() + 60
    while quiet < 25 and time.monotonic() < deadline:
        quiet = 0 if list(store_of(server).glob("staging/*")) else quiet + 1
        time.sleep(0.04)

    assert hits > cuts // 2
    assert blobs_in(server) == before
    assert list(store_of(server).glob("staging/*")) == []


def test_what_a_client_promises_of_its_bytes_must_be_so(server: ServerProcess) -> None:
    content = b"fares of January"
    other = b"fares of February"

    def headers_of(said: bytes) -> list[dict[str, str]]:
        def encoded(name: str) -> str:
            return base64.b64encode(hashlib.new(name, said).digest()).decode()

        return [
            {"X-Content-SHA256": hashlib.sha256(said).hexdigest()},
            {"Content-Digest": f"sha-256=:{encoded('sha256')}:"},
            {"Content-Digest": f"unknown=:AA==:, sha-512=:{encoded('sha512')}:"},
            {"Content-MD5": encoded("md5")},
        ]

    unreadable = [{"Content-Digest": "sha-256=x"}, {"Content-MD5": "x"}, {"X-Content-SHA256": "x"}]
    before = blobs_in(server)
    refused = [put(server, content, headers) for headers in [*headers_of(other), *unreadable]]
    assert refused == [400] * 7
    assert blobs_in(server) == before
    assert [put(server, content, headers) for headers in headers_of(content)] == [201] * 4
    assert blobs_in(server) - before == {hashlib.sha256(content).hexdigest()}


def test_what_a_killed_server_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    server = ServerProcess(str(tmp_path / "store"), tmp_path)
    server.start()
    staging = tmp_path / "store" / "staging"
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=30) as half:
        half.sendall(head(server, len(CONTENT)) + CONTENT[: 2**20])
        while not any(path.stat().st_size for path in staging.glob("*")):
            time.sleep(0.01)
        server.kill()  # Before the connection ends, for then the server would tidy up itself.
    (left,) = staging.iterdir()
    young = tmp_path / "store" / "blobs" / "tmp" / "young"
    young.parent.mkdir(parents=True)
    young.write_bytes(b"half a model")
    old = time.time() - 3700
    os.utime(left, (old, old))

    with server:
        deadline = time.monotonic() + 30
        while left.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert not left.exists()
    assert young.exists()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_server_killed_in_the_middle_of_uploads_shows_none_of_them_in_part(
    tmp_path: Path,
) -> None:
    random = Random(20230301)  # noqa: S311
    server = ServerProcess(str(tmp_path / "store"), tmp_path)
    acknowledged: set[str] = set()
    hits = 0
    for _ in range(20):
        server.start()
        stop = threading.Event()

        def upload(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                content = CONTENT[: random.randrange(1, len(CONTENT))]
                with suppress(OSError, http.client.HTTPException):
                    if put(server, content, {}) == 201:
                        acknowledged.add(hashlib.sha256(content).hexdigest())

        clients = [threading.Thread(target=upload) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.2 + random.random() / 2)
        server.kill()
        stop.set()
        for client in clients:
            client.join()
        half = [*tmp_path.glob("store/staging/*"), *tmp_path.glob("store/blobs/tmp/*")]
        hits += any(path.stat().st_size for path in half)
        for path in tmp_path.glob("store/blobs/??/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert acknowledged <= blobs_in(server)
    assert hits > 10
    assert len(acknowledged) > 20


@pytest.mark.parametrize(
    "flips", [pytest.param(16, id="few"), pytest.param(1000, id="many", marks=pytest.mark.deep)]
)
def test_every_flipped_bit_is_reported(tmp_path: Path, flips: int) -> None:
    random = Random(20230201)  # noqa: S311
    blobs = LocalBlobs(tmp_path)
    digest, size = blobs.put([CONTENT[:50_000]])
    path = blobs.path_of(digest)
    path.chmod(0o644)
    for place in random.sample(range(8 * size), flips):
        at, bit = place // 8, 1 << place % 8
        for _ in range(2):  # There and back.
            whole = bytearray(path.read_bytes())
            whole[at] ^= bit
            path.write_bytes(whole)
            if bytes(whole) != CONTENT[:50_000]:
                with pytest.raises(IntegrityError):
                    list(blobs.read(digest))
                with pytest.raises(IntegrityError):
                    blobs.open(digest)
    assert b"".join(blobs.read(digest)) == CONTENT[:50_000]


def test_a_flipped_bit_is_not_sent_for_the_truth(server: ServerProcess) -> None:
    content = os.urandom(3 * 2**20)
    digest = hashlib.sha256(content).hexdigest()
    assert put(server, content, {}) == 201
    path = store_of(server) / "blobs" / digest[:2] / digest
    path.chmod(0o644)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", f"/api/v1/blobs/{digest}")
    answer = connection.getresponse()
    # Its end shows only when all else was sent: then it must not look like an end.
    whole = b""
    with suppress(http.client.HTTPException, OSError):
        whole = answer.read()
    connection.close()
    assert answer.status == 500 or len(whole) < len(content)
    backend = HttpBackend(Address("http", server.url))
    with pytest.raises((IntegrityError, BackendUnavailableError)):
        list(backend.read_blob(digest))
    backend.close()
