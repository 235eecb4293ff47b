"""R10: what breaks off in the middle of a long file goes on where it was, and is whole then."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.reliability.cutting import CutLine
from tests.reliability.serving import ServerProcess, free_port

from loopline.backend.downloads import download_blob
from loopline.backend.http import HttpBackend
from loopline.errors import BackendUnavailableError, IntegrityError
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1 << 20
SIZE = 48 * MB
#: Where the line listens, which the servers know as a name of theirs.
LINE = free_port()
KNOWN = ("--allow-host", f"127.0.0.1:{LINE}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("resumed")
    with ServerProcess(str(folder / "store"), folder, *KNOWN) as server:
        yield server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    path.write_bytes(os.urandom(SIZE))
    return path


def port_of(server: ServerProcess) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def backend_of(url: str) -> closing[HttpBackend]:
    return closing(HttpBackend(Address("http", url)))


def ask(
    server: ServerProcess, method: str, path: str, body: bytes = b"", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def staged(server: ServerProcess) -> list[Path]:
    return list(Path(server.uri).glob("staging/*"))


def test_an_upload_goes_on_where_its_connection_was_cut(server: ServerProcess, model: Path) -> None:
    with (
        CutLine(port_of(server), LINE, up=(20 * MB, 10 * MB, 5 * MB)) as line,
        backend_of(line.url) as backend,
    ):
        assert backend.put_blob(model) == (digest_of(model), SIZE)
        assert SIZE < line.sent < SIZE + 12 * MB  # What was on its way in a cut may be lost.
        assert b"".join(backend.read_blob(digest_of(model))) == model.read_bytes()
    assert staged(server) == []


def test_a_download_goes_on_where_its_connection_was_cut(
    server: ServerProcess, model: Path
) -> None:
    with backend_of(server.url) as backend:
        digest, _ = backend.put_blob(model)
    with (
        CutLine(port_of(server), LINE, down=(20 * MB, 10 * MB, 5 * MB)) as line,
        backend_of(line.url) as backend,
    ):
        assert b"".join(backend.read_blob(digest)) == model.read_bytes()
        assert SIZE < line.received < SIZE + 12 * MB
        part = b"".join(backend.read_blob(digest, start=MB, end=2 * MB))
        assert part == model.read_bytes()[MB : 2 * MB]


def test_an_upload_goes_on_after_the_server_was_killed(tmp_path: Path, model: Path) -> None:
    server = ServerProcess(str(tmp_path / "store"), tmp_path, *KNOWN)
    digest = digest_of(model)
    server.start()
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("PUT", f"/api/v1/uploads/{digest}")
    connection.putheader("Content-Length", str(SIZE))
    connection.putheader("Upload-Offset", "0")
    connection.endheaders()
    connection.send(model.read_bytes()[: 20 * MB])
    while not any(path.stat().st_size > 10 * MB for path in staged(server)):
        time.sleep(0.01)
    server.kill()
    connection.close()
    (left,) = staged(server)
    there = left.stat().st_size
    with server, CutLine(port_of(server), LINE) as line, backend_of(line.url) as backend:
        assert backend.put_blob(model) == (digest, SIZE)
        assert line.sent < SIZE - there + MB
    assert staged(server) == []


CLIENT = """
import sys
from pathlib import Path
from loopline.backend.downloads import download_blob
from loopline.backend.http import HttpBackend
from loopline.settings import Address
backend = HttpBackend(Address("http", sys.argv[1]))
if sys.argv[2] == "up":
    backend.put_blob(Path(sys.argv[3]))
else:
    download_blob(backend, sys.argv[2], Path(sys.argv[3]))
"""


def kill_when(process: subprocess.Popen[bytes], line: CutLine, name: str, size: int) -> None:
    while getattr(line, name) < size:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()


@pytest.mark.deep
def test_both_ways_go_on_after_the_client_was_killed(server: ServerProcess, tmp_path: Path) -> None:
    random = Random(20240101)  # noqa: S311 - a repeatable choice, no secret
    size = 400 * MB
    source, target = tmp_path / "big", tmp_path / "again"
    with source.open("wb") as file:
        for _ in range(size // MB):
            file.write(os.urandom(MB))
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for what, path, name in (("up", source, "sent"), (digest, target, "received")):
        with CutLine(port_of(server), LINE) as line:
            words = [sys.executable, "-c", CLIENT, line.url, what, str(path)]
            for _ in range(3):
                goal = getattr(line, name) + random.randrange(20 * MB, 80 * MB)
                kill_when(subprocess.Popen(words), line, name, goal)
            assert not target.exists()
            subprocess.run(words, check=True)
            # What had left the one side and not reached the other is sent again.
            assert size < getattr(line, name) < size + 3 * 30 * MB
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert {path.name for path in tmp_path.iterdir()} == {"big", "again"}


def test_an_upload_goes_on_at_no_other_byte_than_the_next(server: ServerProcess) -> None:
    content = b"fares" * 1000
    path = f"/api/v1/uploads/{hashlib.sha256(content).hexdigest()}"
    assert ask(server, "HEAD", path).headers["Upload-Offset"] == "0"
    assert ask(server, "PUT", path, content, Upload_Offset="7").status == 409
    for wrong in ("-1", "x", "9" * 5000):
        assert ask(server, "PUT", path, content, Upload_Offset=wrong).status == 400
    assert ask(server, "PUT", path, content).status == 400
    assert ask(server, "PUT", path, content, Upload_Offset="0").status == 201
    assert ask(server, "HEAD", "/api/v1/uploads/../x").status == 404
    assert ask(server, "HEAD", f"/api/v1/uploads/{'g' * 64}").status == 400
    assert ask(server, "PUT", path.upper().replace("/API/V1/UPLOADS", "/api/v1/uploads"), b"x",
               Upload_Offset="0").status == 400  # fmt: skip


def test_an_upload_of_other_bytes_than_its_name_says_is_forgotten(server: ServerProcess) -> None:
    digest = hashlib.sha256(b"fares of January").hexdigest()
    path = f"/api/v1/uploads/{digest}"
    assert ask(server, "PUT", path, b"fares of February", Upload_Offset="0").status == 400
    assert ask(server, "HEAD", path).headers["Upload-Offset"] == "0"
    assert ask(server, "HEAD", f"/api/v1/blobs/{digest}").status == 404


def test_two_who_send_the_same_bytes_do_not_mix_them(server: ServerProcess) -> None:
    content = os.urandom(2 * MB)
    path = f"/api/v1/uploads/{hashlib.sha256(content).hexdigest()}"
    first = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    first.putrequest("PUT", path)
    first.putheader("Content-Length", str(len(content)))
    first.putheader("Upload-Offset", "0")
    first.endheaders()
    first.send(content[:MB])
    while ask(server, "HEAD", path).headers["Upload-Offset"] == "0":
        time.sleep(0.01)
    second = ask(server, "PUT", path, content, Upload_Offset="0")
    assert second.status == 409
    first.send(content[MB:])
    assert first.getresponse().status == 201
    first.close()


def test_a_wrong_beginning_of_a_download_is_thrown_away(
    server: ServerProcess, model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "folder" / "model.keras"
    target.parent.mkdir()
    with backend_of(server.url) as backend:
        digest, _ = backend.put_blob(model)
        (target.parent / f".{digest}.part").write_bytes(b"not its beginning")
        download_blob(backend, digest, target)
    assert target.read_bytes() == model.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["model.keras"]


def test_a_download_that_fails_keeps_what_is_worth_it(
    server: ServerProcess, model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "folder" / "model.keras"
    target.parent.mkdir()
    with backend_of(server.url) as backend:
        digest, _ = backend.put_blob(model)
    cuts = (20 * MB, *[MB] * 30)
    with (
        CutLine(port_of(server), LINE, down=cuts) as line,
        backend_of(line.url) as backend,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("loopline.backend.http_blobs.PAUSES_S", ())
        with pytest.raises(BackendUnavailableError, match="broke off"):
            download_blob(backend, digest, target)
    assert not target.exists()
    (part,) = target.parent.iterdir()
    assert part.stat().st_size > 16 * MB
    with CutLine(port_of(server), LINE) as line, backend_of(line.url) as backend:
        download_blob(backend, digest, target)
        assert line.received < SIZE - 15 * MB
    assert target.read_bytes() == model.read_bytes()


def test_a_damaged_blob_is_not_downloaded(server: ServerProcess, tmp_path: Path) -> None:
    content = os.urandom(20 * MB)
    source, folder = tmp_path / "source", tmp_path / "folder"
    folder.mkdir()
    source.write_bytes(content)
    with backend_of(server.url) as backend:
        digest, _ = backend.put_blob(source)
        stored = Path(server.uri) / "blobs" / digest[:2] / digest
        stored.chmod(0o644)
        stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises((IntegrityError, BackendUnavailableError)):
            download_blob(backend, digest, folder / "model")
    assert not (folder / "model").exists()
