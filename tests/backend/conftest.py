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


@pytest.fixture(scope="module", params=["local", "http"])
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    home = Address("home", str(tmp_path_factory.mktemp("home") / ".loopline"))
    if request.param == "local":
        local = LocalBackend(home)
        yield local
        local.close()
        return
    with running(home) as url:
        remote = HttpBackend(Address("http", url))
        yield remote
        remote.close()
