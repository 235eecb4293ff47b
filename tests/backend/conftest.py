"""Both backends over stores of their own: what one promises, the other must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.server.running import running

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.backend.protocol import Backend


WAYS = [
    "local",
    "http",
    pytest.param("local on PostgreSQL", marks=pytest.mark.deep),
    pytest.param("http on PostgreSQL", marks=pytest.mark.deep),
]


@pytest.fixture(scope="module", params=WAYS)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    home = tmp_path_factory.mktemp("home") / ".loopline"
    address = Address("home", str(home))
    if request.param.endswith("PostgreSQL"):
        address = request.getfixturevalue("postgres").new()
    if request.param.startswith("local"):
        local = LocalBackend(address, home=home)
        yield local
        local.close()
        return
    with running(address) as url:
        remote = HttpBackend(Address("http", url))
        yield remote
        remote.close()
