"""Files in a bucket are copied like files on disk; a real S3 server answers."""

from __future__ import annotations

import logging
import urllib.request
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from loopline.records.operations import ListArtifacts
from loopline.transfer.importer import import_from
from loopline.transfer.open_source import open_mlflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transfer.mlruns_story import Mlruns

    from loopline.backend.protocol import Backend

RUN = "9" * 32


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # It writes a line for each request.
    server = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{url}/mlartifacts", method="PUT")):  # noqa: S310
        pass
    for name, value in {
        "AWS_ACCESS_KEY_ID": "vera",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield "s3://mlartifacts"
    server.stop()


def put(uri: str, content: bytes) -> None:
    obstore, stores = import_module("obstore"), import_module("obstore.store")
    folder, _, name = uri.rpartition("/")
    obstore.put(stores.from_url(folder), name, content)


def run_in(store: Mlruns, root: str) -> None:
    run = store.run(store.root / "1", RUN)
    text = (run / "meta.yaml").read_text()
    (run / "meta.yaml").write_text(text.replace(f"file://{run}", f"{root}/1/{RUN}"))


def test_files_in_a_bucket_are_copied(store: Mlruns, home: Backend, bucket: str) -> None:
    run_in(store, bucket)
    put(f"{bucket}/1/{RUN}/artifacts/model/MLmodel", b"flavors: {}\n")
    put(f"{bucket}/1/{RUN}/artifacts/wörds one.txt", b"hello")
    put(f"{bucket}/1/{RUN}/artifacts-other/not mine.txt", b"no")
    for _ in range(2):
        report = import_from(open_mlflow(str(store.root)), home)
        assert report.equal, report.differences
    files = home.call(ListArtifacts(run_id=RUN, recursive=True))
    assert [(file.path, file.size_bytes) for file in files] == [
        ("model/MLmodel", 12),
        ("wörds one.txt", 5),
    ]


def test_a_bucket_that_may_not_be_read_is_told(store: Mlruns, home: Backend, bucket: str) -> None:
    run_in(store, f"{bucket}-of-others")
    report = import_from(open_mlflow(str(store.root)), home)
    assert not report.equal
    (lost,) = [left for left in report.left_out if left.is_missing]
    assert "s3://mlartifacts-of-others" in lost.why
