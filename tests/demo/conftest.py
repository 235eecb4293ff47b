"""Where the real months of trips are, on machines that have them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

if str(REPOSITORY / "examples") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "examples"))


@pytest.fixture(scope="session")
def taxi_folder() -> Path | None:
    """The folder with TLC's real months, or None where there is none."""
    named = os.environ.get("LOOPLINE_TAXI_DATA")
    for folder in (Path(named) if named else None, REPOSITORY.parent / "shared" / "data" / "taxi"):
        if folder is not None and folder.is_dir():
            return folder
    return None
