"""Environments that flows were registered from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.errors import UnsupportedError
from loopline.worker.environments import python_of, requirements_of

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_installed_is_what_was_recorded_and_what_loopline_needs() -> None:
    wanted = requirements_of({"python": "3.11", "loopline": "0.1.0", "scikit-learn": "1.5.2"})
    assert "scikit-learn==1.5.2" in wanted
    assert not [each for each in wanted if each.startswith(("python=", "loopline="))]
    assert [each for each in wanted if each.startswith("msgspec")]
    assert not [each for each in wanted if "extra" in each]


def test_without_uv_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="pip install uv"):
        python_of({"python": "3.11"}, tmp_path / "home")
