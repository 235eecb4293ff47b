"""Environments beside ours, with a real MLflow (`locks/mlflow-*.txt`) or an emulator of BigQuery.

One more: a dependency group in `pyproject.toml`, `make lock`, and `python_of` with its name.
"""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["python_of"]

ROOT = Path(__file__).parent.parent


def python_of(name: str) -> str:
    """Return the Python of an environment; without it the test fails and says how to get it."""
    folder = ROOT / ".venvs" / name
    if not (folder / "ready.json").exists():
        pytest.fail(f"This test needs {folder}. Make it: make environment-deep")
    return str(folder / "bin" / "python")
