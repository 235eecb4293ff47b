"""A home of one's own for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.recorder import close_recorders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record to a new home, as Ada."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.setenv("LOOPLINE_ACTOR", "ada")
    loopline.set_tracking_uri(tmp_path)
    loopline.set_experiment("wagoncab taxifare")
    yield tmp_path
    while loopline.active_run() is not None:
        loopline.end_run()
    close_recorders()
    loopline.set_tracking_uri(None)
