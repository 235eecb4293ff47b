"""Data in a bucket have the digests and profiles they have on disk; a real S3 server answers."""

from __future__ import annotations

import logging
import shutil
import urllib.request
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import loopline
from loopline.errors import BackendUnavailableError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

obstore: Any = import_module("obstore")

BUCKET = "wagoncab"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # It writes a line for each request.
    server = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")):  # noqa: S310
        pass
    yield url
    server.stop()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    for name, value in {
        "AWS_ACCESS_KEY_ID": "vera",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return import_module("obstore.store").from_url(f"s3://{BUCKET}")


def test_an_object_is_the_same_data_as_the_file(store: Any, taxi_month: Path) -> None:  # noqa: ANN401
    obstore.put(store, "green/2022-01.parquet", taxi_month)
    there = loopline.dataset(f"s3://{BUCKET}/green/2022-01.parquet")
    here = loopline.dataset(taxi_month)
    assert (there.kind, there.name) == ("file", "2022-01.parquet")
    assert there.source == f"s3://{BUCKET}/green/2022-01.parquet"
    assert there.digest == here.digest
    assert (there.rows, there.size_bytes, there.profile) == (
        here.rows,
        here.size_bytes,
        here.profile,
    )


def test_a_prefix_is_the_same_data_as_the_folder(
    store: Any,  # noqa: ANN401
    taxi_month: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "months"
    for name in ("a/2022-01.parquet", "b/2022-02.parquet"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copyfile(taxi_month, folder / name)
        obstore.put(store, f"months/{name}", folder / name)
    obstore.put(store, "months-other/2023.parquet", b"another prefix")
    there = loopline.dataset(f"s3://{BUCKET}/months")
    here = loopline.dataset(folder)
    assert (there.kind, there.name) == ("folder", "months")
    assert there.digest == here.digest
    assert (there.rows, there.profile) == (here.rows, here.profile)


def test_an_object_that_changed_is_other_data_and_an_unchanged_one_is_not_read(
    store: Any,  # noqa: ANN401
    home: Path,
) -> None:
    url = f"s3://{BUCKET}/zones.csv"
    obstore.put(store, "zones.csv", b"zone\nHarlem\n")
    first = loopline.dataset(url)
    assert loopline.dataset(url) == first
    obstore.put(store, "zones.csv", b"zone\nQueens\n")
    assert loopline.dataset(url).profile["zone"].max == "Queens"
    assert b"canary" not in (home / "cache" / "files.db").read_bytes()


def test_a_snapshot_brings_the_objects_into_the_store(store: Any) -> None:  # noqa: ANN401
    obstore.put(store, "fares/low.csv", b"fare\n2.5\n")
    obstore.put(store, "fares/high.csv", b"fare\n99\n")
    kept = loopline.dataset(f"s3://{BUCKET}/fares").snapshot()
    obstore.delete(store, ["fares/low.csv", "fares/high.csv"])
    folder = loopline.data.load(kept)
    assert (folder / "high.csv").read_text() == "fare\n99\n"
    assert sorted(path.name for path in folder.iterdir()) == ["high.csv", "low.csv"]


def test_what_is_not_there_is_said_with_the_next_step(store: Any) -> None:  # noqa: ANN401
    del store
    with pytest.raises(NotFoundError, match="Check the bucket"):
        loopline.dataset(f"s3://{BUCKET}/nothing/here")
    with pytest.raises(BackendUnavailableError, match="AWS_REGION"):
        loopline.dataset("s3://no-such-bucket/trips.parquet")
