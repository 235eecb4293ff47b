"""The environments: locks that are complete and agree, and a bootstrap that says what to do."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted(path.stem for path in (ROOT / "locks").glob("*.txt"))
ADDED_TO_BASE = ["keras", "torch", "torch-gpu"]


def packages(name: str) -> dict[str, str]:
    """Read a lock: each package as ``name==version ; marker``, with its hashes."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {entry.partition(" \\\n")[0]: entry.partition(" \\\n")[2] for entry in entries}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_address(name: str) -> None:
    assert packages(name)
    for package, hashes in packages(name).items():
        assert "==" in package
        assert "--hash=sha256:" in hashes, package
        assert "://" not in hashes
        assert "://" not in package


def test_the_locks_agree() -> None:
    known = packages("base")
    assert packages("core").items() <= known.items()
    for lock in ADDED_TO_BASE:
        added = packages(lock)
        # A package that base needs on some Pythons alone may be needed on all by another lock.
        versions = {package.partition(" ;")[0] for package in added}
        names = {version.partition("==")[0] for version in versions}
        both = {package for package in known if package.partition("==")[0] in names}
        assert {package.partition(" ;")[0] for package in both} <= versions
        known |= added


class Clone:
    """A clone that has the bootstrap, locks of its own, and a folder of packages to get."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("tools", "locks", "packages"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "tools" / "bootstrap.py", folder / "tools")

    def pack(self, name: str, version: str) -> str:
        """Make a package with one module; return it as a line of a lock."""
        path = self.folder / "packages" / f"{name}-{version}-py3-none-any.whl"
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{about}/RECORD", f"{name}.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n")
        return f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def lock(self, name: str, text: str) -> None:
        """Write a lock."""
        (self.folder / "locks" / f"{name}.txt").write_text(f"{text}\n")

    def bootstrap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it, without a network."""
        script = self.folder / "tools" / "bootstrap.py"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        env |= {
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / "packages"),
        }
        return subprocess.run(
            [sys.executable, script, "--no-project", *arguments],
            cwd=self.folder, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def installed(self, environment: str) -> set[str]:
        """Name the packages of an environment that are not Python's own."""
        about = (self.folder / environment).glob("lib/python3*/site-packages/*.dist-info")
        names = {path.stem for path in about}
        return {name for name in names if not name.startswith(("pip-", "setuptools-"))}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_bootstrap_says_what_to_do_and_goes_on_when_it_was_done(clone: Clone) -> None:
    clone.lock("base", f"fares==1 --hash=sha256:{'0' * 64}")
    failed = clone.bootstrap("base")
    assert failed.returncode == 1
    assert "could not get the packages of base.txt" in failed.stderr
    assert str(clone.folder / "cache" / "loopline" / "wheels") in failed.stderr

    clone.lock("base", "# Nothing.")
    made, again = clone.bootstrap("base"), clone.bootstrap("base")
    assert "Making .venv" in made.stdout
    assert (made.returncode, again.returncode) == (0, 0)
    assert again.stdout == ""


def test_what_was_downloaded_once_makes_an_environment_of_any_place_again(clone: Clone) -> None:
    clone.lock("fares-1", f"fares==1 {clone.pack('fares', '1')}")
    first = clone.bootstrap("--venv", ".venvs/first", "fares-1")
    assert first.returncode == 0, first.stderr
    shutil.rmtree(clone.folder / "packages")

    second = clone.bootstrap("--venv", ".venvs/second", "fares-1")
    assert second.returncode == 0, second.stderr
    assert "Making .venvs/second" in second.stdout
    assert clone.installed(".venvs/second") == clone.installed(".venvs/first") == {"fares-1"}


def test_packages_for_gpus_come_only_beside_a_build_that_needs_them(clone: Clone) -> None:
    for_gpus, for_cpus = clone.pack("tensors", "1"), clone.pack("tensors", "1+cpu")
    clone.lock("tensors", f"tensors==1 {for_gpus} {for_cpus}")
    clone.lock("tensors-gpu", f"driver==1 {clone.pack('driver', '1')}")
    only_cpus = clone.bootstrap("--venv", "cpu", "tensors")
    assert only_cpus.returncode == 0, only_cpus.stderr
    assert clone.installed("cpu") == {"tensors-1+cpu"}

    shutil.rmtree(clone.folder / "cache")
    (clone.folder / "packages" / "tensors-1+cpu-py3-none-any.whl").unlink()
    both = clone.bootstrap("--venv", "gpu", "tensors")
    assert both.returncode == 0, both.stderr
    assert "a build for GPUs" in both.stdout
    assert clone.installed("gpu") == {"tensors-1", "driver-1"}
