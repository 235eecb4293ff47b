"""What the tests of workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Give a home with a project, and end every worker afterwards."""
    workshop = Workshop(tmp_path)
    yield workshop
    workshop.close()
