"""Every test of the store runs on both databases it can be kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres import PostgresServer

DATABASES = ["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.deep)]


@pytest.fixture(scope="session", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """Name the database that the tests run on."""
    return str(request.param)


@pytest.fixture(scope="module")
def open_module_backend(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LocalBackend]]:
    """Open backends on new stores; closed when the module's tests are through."""
    yield from _opener(database, request, tmp_path_factory)


@pytest.fixture
def open_backend(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LocalBackend]]:
    """Open backends on new stores; closed when the test is through."""
    yield from _opener(database, request, tmp_path_factory)


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend]) -> LocalBackend:
    """Open a backend on a new store."""
    return open_backend()


def _opener(
    database: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory
) -> Iterator[Callable[..., LocalBackend]]:
    opened: list[LocalBackend] = []
    server: PostgresServer | None = None
    if database == "PostgreSQL":
        server = request.getfixturevalue("postgres")

    def open_one(**options: object) -> LocalBackend:
        home = folders.mktemp("home")
        address = Address("home", str(home)) if server is None else server.new()
        opened.append(LocalBackend(address, home=home, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for backend in opened:
        backend.close()
        if server is not None:
            server.drop(backend.address)
