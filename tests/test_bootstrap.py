"""The environment: locks that are complete and agree, and a bootstrap that says what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ["base", "core", "keras"]


def packages(name: str) -> dict[str, str]:
    """Read a lock: each package as ``name==version ; marker``, with its hashes."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {entry.partition(" \\\n")[0]: entry.partition(" \\\n")[2] for entry in entries}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_address(name: str) -> None:
    for package, hashes in packages(name).items():
        assert "==" in package
        assert "--hash=sha256:" in hashes, package
        assert "://" not in hashes
        assert "://" not in package


def test_the_locks_agree() -> None:
    base = packages("base")
    assert packages("core").items() <= base.items()
    names = {package.partition("==")[0] for package in base}
    assert names.isdisjoint(package.partition("==")[0] for package in packages("keras"))


def test_bootstrap_without_network_and_wheels_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "locks").mkdir()
    shutil.copy(ROOT / "tools" / "bootstrap.py", tmp_path / "tools")
    (tmp_path / "locks" / "base.txt").write_text(f"fares==1 --hash=sha256:{'0' * 64}\n")
    cache = tmp_path / "cache"

    done = subprocess.run(
        [sys.executable, tmp_path / "tools" / "bootstrap.py", "--no-project", "base"],
        env=os.environ | {"XDG_CACHE_HOME": str(cache), "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "could not get the packages of base.txt" in done.stderr
    assert str(cache / "loopline" / "wheels") in done.stderr
    assert not (tmp_path / ".venv" / "ready.json").exists()


def test_bootstrap_makes_an_environment_once(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "locks").mkdir()
    shutil.copy(ROOT / "tools" / "bootstrap.py", tmp_path / "tools")
    (tmp_path / "locks" / "base.txt").write_text("# Nothing.\n")
    command = [sys.executable, str(tmp_path / "tools" / "bootstrap.py"), "--no-project", "base"]
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    first = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    second = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "Making .venv" in first.stdout
    assert second.stdout == ""

    (tmp_path / "locks" / "base.txt").write_text("# Nothing else.\n")
    third = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "Making .venv" in third.stdout
