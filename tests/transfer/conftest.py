"""Stores to import from, and homes to import into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.transfer.mlruns_story import Mlruns, taxi_fares

from loopline.backend.local import LocalBackend
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopline.backend.protocol import Backend


@pytest.fixture
def store(tmp_path: Path) -> Mlruns:
    return taxi_fares(tmp_path / "mlruns")


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Callable[[str], Backend]]:
    opened: list[LocalBackend] = []

    def make(name: str) -> LocalBackend:
        opened.append(LocalBackend(Address("home", str(tmp_path / name / ".loopline"))))
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()


@pytest.fixture
def home(new_home: Callable[[str], Backend]) -> Backend:
    return new_home("home")
