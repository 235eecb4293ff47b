"""Blobs over HTTP: streamed in and out, in ranges, never as a page of this site."""

from __future__ import annotations

import http.client
import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server import story
from tests.server.running import Answer, ask

from loopline.server.blobs import attachment
from loopline.server.ranges import parse_range

if TYPE_CHECKING:
    from tests.server.conftest import Served

CONTENT = b"<script>alert('fare')</script>" * 1000
DIGEST = sha256(CONTENT).hexdigest()


def put(served: Served, content: bytes, **headers: str) -> Answer:
    return ask(served.url, "PUT", "/api/v1/blobs", content, headers)


def get(served: Served, method: str = "GET", digest: str = DIGEST, **headers: str) -> Answer:
    return ask(served.url, method, f"/api/v1/blobs/{digest}", headers=headers)


@pytest.fixture(scope="module", autouse=True)
def _uploaded(served: Served) -> None:
    answer = put(served, CONTENT)
    assert answer.status == 201
    assert json.loads(answer.body) == {"sha256": DIGEST, "size_bytes": len(CONTENT)}


def test_a_blob_is_served_as_a_file_to_save_and_never_as_a_page(served: Served) -> None:
    answer = get(served)
    assert answer.body == CONTENT
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=10-19"}, {"Range": "bytes=999999-"}])
def test_head_tells_the_size_and_sends_nothing(served: Served, headers: dict[str, str]) -> None:
    answer = get(served, "HEAD", **headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{DIGEST}"'


def test_a_range_of_bytes_is_served(served: Served) -> None:
    answer = get(served, Range="bytes=10-19")
    assert (answer.status, answer.body) == (206, CONTENT[10:20])
    assert answer.headers["Content-Range"] == f"bytes 10-19/{len(CONTENT)}"
    assert get(served, Range="bytes=-5").body == CONTENT[-5:]
    beyond = get(served, Range="bytes=999999999-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (f'"{DIGEST}"', 206),
        (f'"{"0" * 64}"', 200),
        (f'W/"{DIGEST}"', 200),  # A weak tag does not promise the same bytes.
        ("Sat, 01 Apr 2023 00:00:00 GMT", 200),
    ],
)
def test_a_range_is_of_the_file_that_the_client_has_begun_or_it_gets_the_whole(
    served: Served, condition: str, status: int
) -> None:
    answer = get(served, **{"Range": "bytes=10-19", "If-Range": condition})
    expected = CONTENT[10:20] if status == 206 else CONTENT
    assert (answer.status, answer.body) == (status, expected)


@pytest.mark.parametrize("tags", [f'"{DIGEST}"', f'"x", W/"{DIGEST}"', "*"])
def test_what_a_browser_has_is_not_sent_again(served: Served, tags: str) -> None:
    assert get(served, **{"If-None-Match": tags}).status == 304
    assert get(served, **{"If-None-Match": '"x"'}).status == 200


def test_bytes_damaged_on_the_way_are_refused(served: Served) -> None:
    wrong = "0" * 64
    answer = put(served, b"other bytes", **{"X-Content-SHA256": wrong})
    assert answer.status == 400
    assert get(served, "HEAD", sha256(b"other bytes").hexdigest()).status == 404


@pytest.mark.parametrize("digest", ["0" * 64, "..%2f..%2floopline.db", "x", "A" * 64])
def test_a_blob_that_is_none_is_404(served: Served, digest: str) -> None:
    assert get(served, digest=digest).status == 404


def test_uploads_leave_nothing_behind(served: Served) -> None:
    left = list((Path(served.address.text) / "staging").glob("upload-*"))
    assert left == []


def test_an_artifact_is_found_by_its_path(served: Served) -> None:
    answer = ask(served.url, "GET", f"/runs/{story.run_id(1)}/artifacts/report.html")
    assert answer.status == 200
    assert answer.text == story.HOSTILE
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="report.html"')
    assert answer.headers["Content-Type"] == "application/octet-stream"
    deep = ask(served.url, "GET", f"/runs/{story.run_id(1)}/artifacts/model/model.skops")
    assert deep.body == b"a model" * 1000


@pytest.mark.parametrize(
    "path", ["nothing", "model", "../../loopline.db", "..%2f..%2floopline.db", "%00"]
)
def test_a_path_that_is_no_artifact_is_no_file(served: Served, path: str) -> None:
    answer = ask(served.url, "GET", f"/runs/{story.run_id(1)}/artifacts/{path}")
    assert answer.status in {400, 404}


@given(st.text())
def test_a_file_name_cannot_leave_its_header(name: str) -> None:
    header = attachment(name)["Content-Disposition"]
    assert header.isascii()
    assert not {"\r", "\n"} & set(header)
    assert header.count('"') == 2


@given(st.text(max_size=40), st.integers(0, 1000))
def test_any_range_header_is_read_or_refused(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except ValueError:
        return
    assert part is None or 0 <= part[0] < part[1] <= size


@given(st.integers(1, 1000), st.data())
def test_a_range_is_the_bytes_it_names(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2 * size))
    assert parse_range(f"bytes={first}-{last}", size) == (first, min(size, last + 1))
    assert parse_range(f"bytes={first}-", size) == (first, size)
    assert parse_range(f"bytes=-{first + 1}", size) == (size - first - 1, size)


def test_a_damaged_blob_ends_short_of_its_length(served: Served) -> None:
    content = b"a model" * 300_000
    digest = sha256(content).hexdigest()
    assert put(served, content).status == 201
    stored = Path(served.address.text) / "blobs" / digest[:2] / digest
    stored.chmod(0o644)
    stored.write_bytes(content[:-1] + b"L")

    with pytest.raises(http.client.IncompleteRead):
        get(served, digest=digest)
    assert get(served, digest=digest, Range="bytes=0-9").status == 500
