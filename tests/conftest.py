"""What all tests share: where the real trips are, for every process that a test starts."""

from __future__ import annotations

import os
from pathlib import Path

TRIPS = "LOOPLINE_TAXI_DATA"


def pytest_configure() -> None:
    """Make the folder of real trips absolute, and find it beside the repository by itself.

    Without it the tests that need trips take the simulated city.
    """
    beside = Path(__file__).parents[2] / "shared" / "data" / "taxi"
    folder = Path(os.environ.get(TRIPS) or beside)
    if folder.is_dir():
        os.environ[TRIPS] = str(folder.resolve())
