"""Every place where blobs can lie; what one promises, the others must keep."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.blobs.servers import SERVERS, deaf_s3

from loopline.blobs.open import open_blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.blobs.servers import Served

    from loopline.blobs.protocol import Blobs

BUCKETS = [
    "s3",
    pytest.param("azure", marks=pytest.mark.deep),
    pytest.param("google", marks=pytest.mark.deep),
]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Give what starts a server by its name, when it is first wanted."""
    known: dict[str, Served] = {}
    with ExitStack() as stack:

        def start(name: str) -> Served:
            if name not in known:
                folder = tmp_path_factory.mktemp(name)
                known[name] = stack.enter_context(SERVERS[name](folder))
            return known[name]

        yield start


@pytest.fixture(params=BUCKETS)
def bucket(
    request: pytest.FixtureRequest,
    started: Callable[[str], Served],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Give the address of an empty prefix in a bucket that can be reached."""
    return prefix_in(started(request.param), monkeypatch)


def prefix_in(served: Served, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return f"{served.url}/{uuid.uuid4().hex}/files"


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Give the address of a bucket that ignores conditions."""
    with deaf_s3(tmp_path) as served:
        yield prefix_in(served, monkeypatch)


@pytest.fixture(params=["folder", *BUCKETS])
def blobs(
    request: pytest.FixtureRequest,
    started: Callable[[str], Served],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Blobs:
    if request.param == "folder":
        return open_blobs(str(tmp_path / "blobs"))
    return open_blobs(prefix_in(started(request.param), monkeypatch))
