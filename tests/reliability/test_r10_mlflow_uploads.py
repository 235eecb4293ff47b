"""R10: a file that one of MLflow's clients sends is there whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.reliability.serving import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = os.urandom(3 * 2**20)
SENDERS, KILLS = 4, 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(str(tmp_path / "store"), tmp_path) as server:
        yield server


def asked(
    server: ServerProcess, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def begun(server: ServerProcess) -> str:
    """Begin a run; return its id."""
    body = json.dumps({"experiment_id": "0"}).encode()
    status, told = asked(
        server, "POST", "/api/2.0/mlflow/runs/create", body, Content_Type="application/json"
    )
    assert status == 200
    run_id: str = json.loads(told)["run"]["info"]["run_id"]
    return run_id


def place(run_id: str, name: str) -> str:
    return f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/{name}"


def listed(server: ServerProcess, run_id: str) -> list[dict[str, Any]]:
    path = f"/api/2.0/mlflow-artifacts/artifacts?path=0/{run_id}/artifacts"
    found: list[dict[str, Any]] = json.loads(asked(server, "GET", path)[1]).get("files", [])
    return found


def half_made(server: ServerProcess) -> list[Path]:
    return list(Path(server.uri).glob("staging/*"))


def wait_until_quiet(server: ServerProcess) -> None:
    """Wait for the server to find out that nothing more comes of any upload that it took up.

    On a busy machine it takes up the last ones after the first ones are over, so that a moment
    without any is not yet the end.
    """
    quiet, deadline = 0, time.monotonic() + 60
    while quiet < 25 and time.monotonic() < deadline:
        quiet = 0 if half_made(server) else quiet + 1
        time.sleep(0.04)


@pytest.mark.parametrize(
    "cuts", [pytest.param(20, id="few"), pytest.param(1000, id="many", marks=pytest.mark.deep)]
)
@pytest.mark.parametrize("how", ["counted", "chunked"])
def test_an_upload_that_is_cut_anywhere_is_no_file_of_the_run(
    server: ServerProcess, how: str, cuts: int
) -> None:
    random = Random(20230701)  # noqa: S311 - a repeatable choice, no secret
    run_id = begun(server)
    parts = urlsplit(server.url)
    hits = 0
    for number in range(cuts):
        size = random.randrange(2, len(CONTENT))
        part = random.randrange(size)
        length = f"Content-Length: {size}" if how == "counted" else "Transfer-Encoding: chunked"
        head = f"PUT {place(run_id, f'{number}.bin')} HTTP/1.1\r\nHost: {parts.netloc}\r\n{length}"
        sent = CONTENT[:part]
        if how == "chunked":  # The last chunk, which says that it was all, never comes.
            sent = b"%x\r\n%b\r\n" % (max(part, 1), CONTENT[: max(part, 1)])
        with socket.create_connection(("127.0.0.1", parts.port), timeout=30) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode() + sent)
            hits += part > 0
    wait_until_quiet(server)
    assert hits > cuts // 2
    assert listed(server, run_id) == []
    assert half_made(server) == []
    assert list(Path(server.uri).glob("blobs/??/*")) == []


def test_what_a_client_promises_of_its_bytes_must_be_so(server: ServerProcess) -> None:
    run_id = begun(server)
    path = place(run_id, "fares.csv")
    md5 = base64.b64encode(hashlib.md5(b"January").digest()).decode()  # noqa: S324 - HTTP's
    sha256 = base64.b64encode(hashlib.sha256(b"January").digest()).decode()
    promises = ({"Content_MD5": md5}, {"Content_Digest": f"sha-256=:{sha256}:"})
    for promise in promises:
        assert asked(server, "PUT", path, b"February", **promise)[0] == 400
        assert listed(server, run_id) == []
    for promise in promises:
        assert asked(server, "PUT", path, b"January", **promise)[0] == 200
    assert asked(server, "GET", path) == (200, b"January")


@pytest.mark.deep
def test_a_server_killed_in_the_middle_of_uploads_shows_whole_files_alone(
    server: ServerProcess,
) -> None:
    run_id = begun(server)
    random = Random(20230702)  # noqa: S311 - a repeatable choice, no secret
    acknowledged: dict[str, bytes] = {}
    broken: list[str] = []
    stop = threading.Event()

    def send(sender: int) -> None:
        number = 0
        while not stop.is_set():
            name, number = f"{sender}-{number}.bin", number + 1
            content = CONTENT[: 2**20 + number] + name.encode()
            try:
                status, _ = asked(server, "PUT", place(run_id, name), content)
            except (OSError, http.client.HTTPException):
                broken.append(name)
                time.sleep(0.02)
            else:
                assert status == 200
                acknowledged[name] = content

    senders = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for kill in range(KILLS):
        until = time.monotonic() + 60
        while len(acknowledged) < (kill + 1) * 2 * SENDERS and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(random.random() / 20)
        server.kill()
        server.start()
    stop.set()
    for sender in senders:
        sender.join()

    assert len(broken) >= KILLS
    assert len(acknowledged) >= KILLS * 2 * SENDERS
    files = {each["path"]: each["file_size"] for each in listed(server, run_id)}
    # A file may be there whose answer the kill took; if so, it is whole like the others.
    assert set(acknowledged) <= set(files) <= set(acknowledged) | set(broken)
    for name, size in files.items():
        status, told = asked(server, "GET", place(run_id, name))
        assert (status, len(told)) == (200, size)
        assert told.endswith(name.encode())
        assert told == acknowledged.get(name, told)
