"""A whole store whose files lie in a bucket: server, backup, gc and doctor."""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.collect import collect_garbage, find_garbage
from loopline.care.doctor.examine import examine
from loopline.care.doctor.findings import Level
from loopline.care.restore import check_backup, restore
from loopline.errors import InvalidInputError, LooplineError, NotFoundError
from loopline.records import facts as f
from loopline.records.operations import RecordFacts
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

RUN = "ab" * 16
MODEL = os.urandom(20 << 20)
DIGEST = sha256(MODEL).hexdigest()


@pytest.fixture
def address(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Address:
    monkeypatch.setenv("LOOPLINE_BLOBS", bucket)
    return Address("home", str(tmp_path / "home" / ".loopline"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    path.write_bytes(MODEL)
    return path


@pytest.fixture
def backend(address: Address, model: Path) -> Iterator[LocalBackend]:
    """A store with a run and its model, and a file that nothing names."""
    backend = LocalBackend(address)
    digest, size = backend.put_blob(model)
    facts: list[f.Fact] = [
        f.RunStarted(run_id=RUN, experiment="wagoncab taxifare", start_ms=1),
        f.ArtifactLogged(run_id=RUN, path="model.keras", sha256=digest, size_bytes=size, at_ms=2),
        f.RunEnded(run_id=RUN, status=RunStatus.FINISHED, end_ms=3),
    ]
    backend.call(RecordFacts(facts=facts))
    note = model.with_name("note")
    note.write_bytes(b"nobody names this")
    backend.put_blob(note)
    yield backend
    backend.close()


@contextmanager
def _nobody(_digests: Sequence[str]) -> Iterator[set[str]]:
    yield set()


def test_files_go_through_a_server_into_the_bucket_and_back(address: Address, model: Path) -> None:
    with running(address) as url, closing(HttpBackend(Address("http", url))) as client:
        assert client.put_blob(model) == (DIGEST, len(MODEL))
        assert client.put_blob(model) == (DIGEST, len(MODEL))
        assert b"".join(client.read_blob(DIGEST)) == MODEL
        assert b"".join(client.read_blob(DIGEST, start=5, end=50)) == MODEL[5:50]
        answer = ask(url, "GET", f"/api/v1/blobs/{DIGEST}", headers={"Range": "bytes=-7"})
        assert (answer.status, answer.body) == (206, MODEL[-7:])
        assert ask(url, "HEAD", f"/api/v1/blobs/{'0' * 64}").status == 404
        client.call(RecordFacts(facts=[f.RunStarted(run_id=RUN, experiment="fares", start_ms=1)]))
        path = f"/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts/notes/note.txt"
        assert ask(url, "PUT", path, b"fares").status == 200
        assert ask(url, "GET", path).body == b"fares"
    home = model.parent / "home" / ".loopline"
    assert list((home / "staging").iterdir()) == []
    assert not (home / "blobs").exists()


@pytest.mark.parametrize("target", ["backup", "backup.tar"])
def test_a_backup_holds_the_files_and_is_restored_into_another_bucket_or_a_folder(
    backend: LocalBackend,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    report = back_up(backend, tmp_path / target)
    assert (report.blobs, report.missing) == (1, [])
    assert check_backup(tmp_path / target).blobs == 1
    for number, place in enumerate((f"{bucket}/restored", str(tmp_path / "folder"))):
        monkeypatch.setenv("LOOPLINE_BLOBS", place)
        address = Address("home", str(tmp_path / f"again-{number}"))
        restore(tmp_path / target, address)
        with closing(LocalBackend(address)) as again:
            assert b"".join(again.read_blob(DIGEST)) == MODEL


def test_gc_frees_what_nothing_names_and_what_another_store_needs_stays(
    backend: LocalBackend, tmp_path: Path
) -> None:
    (tmp_path / "shared").write_bytes(b"another store names this")
    other = LocalBackend(Address("home", str(tmp_path / "other")))
    shared, size = other.put_blob(tmp_path / "shared")
    started = f.RunStarted(run_id=RUN, experiment="fares", start_ms=1)
    named = f.ArtifactLogged(run_id=RUN, path="s", sha256=shared, size_bytes=size, at_ms=2)
    other.call(RecordFacts(facts=[started, named]))
    time.sleep(1.1)
    garbage = find_garbage(backend, grace_s=3600.0)
    assert (garbage.blobs, garbage.young, garbage.needed) == ([], 1, 2)
    garbage = find_garbage(backend, grace_s=0.0)
    unneeded = sha256(b"nobody names this").hexdigest()
    assert garbage.blobs == [(unneeded, 17)]
    assert collect_garbage(backend, garbage).blobs == 1
    with pytest.raises(NotFoundError):
        backend.blob_size(unneeded)
    assert backend.blob_size(shared) == size
    assert backend.blob_size(DIGEST) == len(MODEL)
    other.close()


def test_doctor_looks_into_the_bucket(
    backend: LocalBackend, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {each.check: each for each in examine(address, thorough=True)}
    for check in ("blobs.bucket", "blobs.missing", "blobs.damaged"):
        assert found[check].level is Level.FINE, found[check]
    list(backend.blobs.remove([DIGEST], time.time() + 100, _nobody))
    assert {each.check: each.level for each in examine(address)}["blobs.missing"] is Level.PROBLEM
    scheme = os.environ["LOOPLINE_BLOBS"].partition(":")[0]
    monkeypatch.setenv("LOOPLINE_BLOBS", f"{scheme}://nobodys-bucket/files")
    found = {each.check: each for each in examine(address)}
    assert found["blobs.reachable"].level is Level.PROBLEM


def test_a_server_does_not_start_without_its_bucket(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.server.serve import serve

    scheme = os.environ["LOOPLINE_BLOBS"].partition(":")[0]
    monkeypatch.setenv("LOOPLINE_BLOBS", f"{scheme}://nobodys-bucket/files")
    with pytest.raises((NotFoundError, InvalidInputError), match="nobodys-bucket"):
        serve(address, port=0)


def test_a_server_names_a_store_that_ignores_conditions(
    deaf: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOOPLINE_BLOBS", deaf)
    address = Address("home", str(tmp_path / "home"))
    with caplog.at_level(logging.WARNING, "loopline.server"), running(address) as url:
        assert ask(url, "GET", "/health").status == 200
    assert f"{deaf} ignores conditional writes" in caplog.text
    with (
        closing(LocalBackend(address)) as backend,
        pytest.raises(LooplineError, match="ignores conditional writes"),
    ):
        collect_garbage(backend, find_garbage(backend, grace_s=3600.0))
