"""Files that clients send to a bucket and fetch from it themselves."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.blobs.conftest import prefix_in
from tests.peers import python_of
from tests.server.running import ask, running

from loopline.backend.http import HttpBackend
from loopline.blobs.bucket import BucketBlobs
from loopline.blobs.open import open_blobs
from loopline.records import facts as f
from loopline.records.operations import RecordFacts
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.blobs.servers import Served

RUN = "ab" * 16
AT = f"1/{RUN}/artifacts"
API = "/api/2.0/mlflow-artifacts"
PARTS = [os.urandom(6 << 20), os.urandom(6 << 20), b"the rest"]
WHOLE = b"".join(PARTS)


@pytest.fixture(params=["s3", pytest.param("azure", marks=pytest.mark.deep)])
def url(
    request: pytest.FixtureRequest,
    started: Callable[[str], Served],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[str]:
    """A server over a bucket that signs, with a run."""
    monkeypatch.setenv("LOOPLINE_BLOBS", prefix_in(started(request.param), monkeypatch))
    with running(Address("home", str(tmp_path / "home"))) as url:
        with closing(HttpBackend(Address("http", url))) as client:
            begun = f.RunStarted(run_id=RUN, experiment="wagoncab taxifare", start_ms=1)
            client.call(RecordFacts(facts=[begun]))
        yield url


def post(url: str, at: str, /, **words: object) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"}
    answer = ask(url, "POST", at, json.dumps(words).encode(), headers)
    return answer.status, json.loads(answer.body)


def fetch(signed: dict[str, Any], **headers: str) -> bytes:
    given = {**signed["headers"], **headers}
    request = urllib.request.Request(signed["url"], headers=given)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def send(credential: dict[str, Any], data: bytes) -> dict[str, Any]:
    # What urllib would say by itself, that it is a form, makes moto look for its fields.
    url, headers = credential["url"], {"Content-Type": "x/y", **credential["headers"]}
    request = urllib.request.Request(url, data, headers, method="PUT")  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        etag = answer.headers["ETag"]
    return {"part_number": credential["part_number"], "etag": etag, "url": credential["url"]}


def begin(url: str, name: str = "/home/vera/model.bin", folder: str = "") -> dict[str, Any]:
    status, upload = post(url, f"{API}/mpu/create/{AT}{folder}", path=name, num_parts=len(PARTS))
    assert status == 200, upload
    return upload


def files_of(url: str) -> list[dict[str, Any]]:
    answer = ask(url, "GET", f"/api/2.0/mlflow/artifacts/list?run_id={RUN}")
    found: list[dict[str, Any]] = json.loads(answer.body).get("files", [])
    return found


def left_in_staging() -> list[str]:
    blobs = open_blobs(os.environ["LOOPLINE_BLOBS"])
    assert isinstance(blobs, BucketBlobs)
    return [each.key.rpartition("/")[2] for each in blobs.objects.list("staging")]


def test_a_file_sent_in_parts_is_there_when_all_of_them_are_and_not_before(url: str) -> None:
    upload = begin(url, r"C:\Users\Vera\model.bin", "/deep")
    parts = [
        send(credential, part)
        for credential, part in zip(upload["credentials"], PARTS, strict=True)
    ]
    assert files_of(url) == []
    ending = {"path": "model.bin", "upload_id": upload["upload_id"], "parts": parts}
    for _ in range(2):  # A client that heard no answer asks again.
        assert post(url, f"{API}/mpu/complete/{AT}/deep", **ending) == (200, {})
    assert files_of(url) == [{"path": "deep", "is_dir": True}]
    answer = ask(url, "GET", f"{API}/artifacts/{AT}/deep/model.bin")
    assert answer.body == WHOLE
    assert answer.headers["ETag"] == f'"{sha256(WHOLE).hexdigest()}"'
    assert sorted(left_in_staging()) == ["about", "done"]


def test_a_file_is_fetched_from_the_bucket_itself_whole_or_in_ranges(url: str) -> None:
    assert ask(url, "PUT", f"{API}/artifacts/{AT}/model.bin", WHOLE).status == 200
    answer = ask(url, "GET", f"{API}/presigned/{AT}/model.bin")
    signed = json.loads(answer.body)
    assert signed["file_size"] == len(WHOLE)
    assert not signed["url"].startswith(url)
    assert fetch(signed) == WHOLE
    assert fetch(signed, Range="bytes=10-19") == WHOLE[10:20]
    status, words = post(
        url, "/api/2.0/mlflow/artifacts/presigned-download-url", run_id=RUN, path="model.bin"
    )
    assert status == 200
    assert fetch({"url": words["presigned_url"], "headers": words["headers"]}) == WHOLE
    assert ask(url, "GET", f"{API}/presigned/{AT}/nothing").status == 404
    for expiration in (0, 604_801):
        status, words = post(
            url, "/api/2.0/mlflow/artifacts/presigned-download-url",
            run_id=RUN, path="model.bin", expiration=expiration,
        )  # fmt: skip
        assert (status, words["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_an_address_does_one_thing_only(url: str) -> None:
    credential = begin(url)["credentials"][0]
    elsewhere = {**credential, "url": credential["url"].replace("00001", "00002", 1)}
    if os.environ["LOOPLINE_BLOBS"].startswith("az"):  # moto looks at no signature.
        with pytest.raises(urllib.error.HTTPError, match="403"):
            send(elsewhere, b"x")
    with pytest.raises(urllib.error.HTTPError):
        fetch({"url": credential["url"], "headers": {}})


def test_an_upload_is_finished_by_who_began_it_and_with_all_its_parts(url: str) -> None:
    upload = begin(url)
    parts = [send(upload["credentials"][0], PARTS[0])]
    ending = {"path": "model.bin", "upload_id": upload["upload_id"], "parts": parts}
    elsewhere = f"{API}/mpu/complete/{AT}/elsewhere"
    assert post(url, elsewhere, **ending)[0] == 404
    assert post(url, f"{API}/mpu/complete/{AT}", **{**ending, "path": "other"})[0] == 404
    assert post(url, f"{API}/mpu/complete/{AT}", **{**ending, "upload_id": "../../x"})[0] == 404
    status, words = post(url, f"{API}/mpu/complete/{AT}", **ending)
    assert status == 400
    assert "Send part 2" in words["message"]
    parts += [send(upload["credentials"][index], PARTS[index]) for index in (1, 2)]
    assert post(url, f"{API}/mpu/complete/{AT}", **{**ending, "parts": parts[:2]})[0] == 400
    assert files_of(url) == []
    del ending["parts"]
    assert post(url, f"{API}/mpu/abort/{AT}/elsewhere", **ending)[0] == 404
    assert post(url, f"{API}/mpu/abort/{AT}", **ending) == (200, {})
    assert left_in_staging() == []
    assert post(url, f"{API}/mpu/complete/{AT}", **ending)[0] == 404


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (AT, {"num_parts": 1}),
        (AT, {"path": "", "num_parts": 1}),
        (AT, {"path": "folder/", "num_parts": 1}),
        (AT, {"path": "model", "num_parts": 0}),
        (AT, {"path": "model", "num_parts": 10_001}),
        (AT, {"path": "..", "num_parts": 1}),
        (f"1/{'cd' * 16}/artifacts", {"path": "model", "num_parts": 1}),
        ("versions/taxifare/1/artifacts", {"path": "model", "num_parts": 1}),
        ("somewhere", {"path": "model", "num_parts": 1}),
    ],
)
def test_what_is_no_upload_is_refused(url: str, at: str, words: dict[str, object]) -> None:
    assert post(url, f"{API}/mpu/create/{at}", **words)[0] in {400, 404}
    assert left_in_staging() == []


def test_nothing_goes_past_the_server_when_it_is_told_so(
    started: Callable[[str], Served], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOOPLINE_BLOBS", prefix_in(started("s3"), monkeypatch))
    monkeypatch.setenv("LOOPLINE_DIRECT_FILES", "0")
    with running(Address("home", str(tmp_path / "home"))) as url:
        info = json.loads(ask(url, "GET", "/api/3.0/mlflow/server-info").body)
        assert not info["multipart_uploads_enabled"]
        assert not info["multipart_downloads_enabled"]
        assert ask(url, "GET", f"{API}/presigned/{AT}/model").status == 501


def test_where_files_lie_in_a_folder_clients_are_told_so_in_mlflows_words(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path / "home"))) as url:
        info = json.loads(ask(url, "GET", "/api/3.0/mlflow/server-info").body)
        assert not info["multipart_uploads_enabled"]
        status, words = post(url, f"{API}/mpu/create/{AT}", path="model", num_parts=2)
        assert (status, words["error_code"]) == (501, "NOT_IMPLEMENTED")
        beginning = "Multipart upload is not supported for the current artifact repository"
        assert words["message"].startswith(beginning)
        assert ask(url, "GET", f"{API}/presigned/{AT}/model").status == 501
        for name in ("download", "upload"):
            path = f"/api/2.0/mlflow/artifacts/presigned-{name}-url"
            status, words = post(url, path, run_id=RUN, path="model")
            assert (status, words["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
            assert f"Presigned {name} is not supported for" in words["message"]


@pytest.mark.deep
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("client", "forced"), [("mlflow-3", ""), ("mlflow-3", "true"), ("mlflow-2", "true")]
)
@pytest.mark.parametrize("place", ["folder", "s3", "azure", "google"])
def test_a_real_client_sends_and_fetches_past_the_server_where_it_can(
    place: str,
    client: str,
    forced: str,
    started: Callable[[str], Served],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if place != "folder":
        monkeypatch.setenv("LOOPLINE_BLOBS", prefix_in(started(place), monkeypatch))
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(1 << 20),
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(3 << 20),
        "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(2 << 20),
    }
    if forced:
        environment["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = forced
        environment["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = forced
    program = Path(__file__).with_name("mlflow_files_session.py")
    with running(Address("home", str(tmp_path / "home"))) as url:
        done = subprocess.run(
            [python_of(client), program, url], env=environment, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    signs = place in {"s3", "azure"}  # Nobody is somebody at the emulator of Google's.
    if client == "mlflow-3":
        assert seen["multipart"] is (signs or bool(forced))
    assert seen["came"] == [seen["sent"]] * 2
    assert seen["note"] == "fares"
    assert seen["files"] == ["deep", "my model.bin", "note.txt"]
    assert seen["left"] == ["my model.bin", "note.txt"]
    if signs:
        assert sorted(left_in_staging()) == ["about"] * 2 + ["done"] * 2
