"""Many blobs in one request: files with the facts that name them, taken whole or not at all."""

from __future__ import annotations

import json
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.server.running import Answer, ask

from loopline.records.facts import Batch
from loopline.rules.bundle import Unbundler, bundle_head

if TYPE_CHECKING:
    from tests.server.conftest import Served


def digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def batch() -> bytes:
    return msgspec.msgpack.encode(Batch(writer=uuid.uuid4().hex, start=0, end=0, facts=[]))


def post(served: Served, path: str, body: bytes, **headers: str) -> Answer:
    return ask(served.url, "POST", f"/api/v1/{path}", body, headers)


def has(served: Served, content: bytes) -> bool:
    return ask(served.url, "HEAD", f"/api/v1/blobs/{digest_of(content)}").status == 200


def as_json(served: Served, path: str, digests: list[str]) -> Answer:
    body = json.dumps({"sha256": digests}).encode()
    return post(served, path, body, **{"Content-Type": "application/json"})


def test_files_come_with_facts_and_are_asked_for_and_fetched_together(served: Served) -> None:
    files = [uuid.uuid4().bytes, b"", uuid.uuid4().bytes * 50_000]
    digests = [digest_of(each) for each in files]
    absent = json.loads(as_json(served, "blobs/missing", digests).body)["missing"]
    assert set(absent) >= {digests[0], digests[2]}

    rest = batch()
    head = bundle_head([(digest_of(each), len(each)) for each in files], len(rest))
    answer = post(served, "facts-with-files", head + b"".join(files) + rest)
    assert answer.status == 200
    assert json.loads(as_json(served, "blobs/missing", digests).body) == {"missing": []}

    answer = as_json(served, "blobs/bundle", digests)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    bundle = Unbundler()
    came = [b"", b"", b""]
    for piece in bundle.feed(answer.body):
        came[piece.part] += piece.data
    assert (bundle.is_whole, came) == (True, files)


def test_a_file_that_was_damaged_on_the_way_is_not_kept(served: Served) -> None:
    good, bad, rest = uuid.uuid4().bytes, uuid.uuid4().bytes, batch()
    head = bundle_head([(digest_of(good), 16), (digest_of(bad), 16)], len(rest))
    answer = post(served, "facts-with-files", head + good + bad[::-1] + rest)
    assert answer.status == 400
    assert "damaged on the way" in answer.text
    assert has(served, good)
    assert not has(served, bad)
    assert not has(served, bad[::-1])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "ended before all of it had come"),
        (b"not a bundle at all", "does not begin like one"),
        (bundle_head([(digest_of(b"fare"), 4)], 9) + b"fa", "ended before all of it had come"),
        (bundle_head([], 3) + b"\x93\x01\x02", "Expected `object`"),
        (bundle_head([], 2**40), "What follows the parts"),
    ],
)
def test_what_is_no_whole_bundle_is_refused(served: Served, body: bytes, said: str) -> None:
    answer = post(served, "facts-with-files", body)
    assert answer.status == 400
    assert said in answer.text


def test_a_bundle_longer_than_any_is_refused_before_it_is_read(served: Served) -> None:
    answer = post(served, "facts-with-files", b"LLB1", **{"Content-Length": str(2**40)})
    assert answer.status == 413


def test_a_missing_or_misnamed_blob_is_said(served: Served) -> None:
    assert as_json(served, "blobs/bundle", [digest_of(uuid.uuid4().bytes)]).status == 404
    for path in ("blobs/bundle", "blobs/missing"):
        assert as_json(served, path, ["../loopline.db"]).status == 400
        assert as_json(served, path, ["0" * 64] * 1_001).status == 400
        assert post(served, path, b"{}").status == 415
