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


def test_bootstrap_says_what_to_do_and_goes_on_when_it_was_done(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "locks").mkdir()
    script = shutil.copy(ROOT / "tools" / "bootstrap.py", tmp_path / "tools")
    lock = tmp_path / "locks" / "base.txt"
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}

    def bootstrap() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, script, "--no-project", "base"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    lock.write_text(f"fares==1 --hash=sha256:{'0' * 64}\n")
    failed = bootstrap()
    assert failed.returncode == 1
    assert "could not get the packages of base.txt" in failed.stderr
    assert str(tmp_path / "cache" / "loopline" / "wheels") in failed.stderr

    lock.write_text("# Nothing.\n")
    made, again = bootstrap(), bootstrap()
    assert "Making .venv" in made.stdout
    assert (made.returncode, again.returncode) == (0, 0)
    assert again.stdout == ""
