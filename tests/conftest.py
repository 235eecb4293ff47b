"""What all tests share: a home, and where the real trips are, for every process they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.own_home import OwnHome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import PostgresServer

TRIPS = "LOOPLINE_TAXI_DATA"

# A property holds or not; how long an example takes is the business of a shared machine.
settings.register_profile("loopline", deadline=None)
settings.load_profile("loopline")


def pytest_configure(config: pytest.Config) -> None:
    """Move into a home of our own; find the real trips beside the repository, if nobody said where.

    Without them the tests that need trips take the simulated city. System metrics are off but in
    the tests that are about them: others count metrics and points.
    """
    OwnHome.move_in(config)
    os.environ.setdefault("LOOPLINE_SYSTEM_METRICS", "0")
    beside = Path(__file__).parents[2] / "shared" / "data" / "taxi"
    folder = Path(os.environ.get(TRIPS) or beside)
    if folder.is_dir():
        os.environ[TRIPS] = str(folder.resolve())


@pytest.fixture(autouse=True)
def _no_secrets_of_others() -> Iterator[None]:
    """Forget what a test had hidden in records: the next one may record that very word."""
    yield
    if "loopline.backend.masking" in sys.modules:
        from loopline.backend import masking

        masking._fetched.clear()
        masking._looked_at = float("-inf")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a real PostgreSQL, once for all tests that want one."""
    from tests.postgres import PostgresServer

    server = PostgresServer()
    yield server
    server.close()
