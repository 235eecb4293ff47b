"""The environment of a run made anew by uv: the same Python, every package in its version.

One folder an environment, named by its hash, in the home; made once, from uv's cache when it has
everything. Everything that was installed was recorded, so nothing is resolved.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.disk import locked
from loopline.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from loopline.records.environment import PythonState

__all__ = ["TOOLS", "Made", "make", "own"]

READY = "ready"
#: Lines of what uv said that are told.
TOLD = 6
WAIT_S = 1800.0
#: Comes from where this Loopline is, so that both speak the same language.
OURS = "loopline"
#: What runs in no process of ours: uv installs without them.
TOOLS = frozenset({"pip", "uv"})


class Made(NamedTuple):
    """An environment to run in.

    Attributes:
        python: Its interpreter.
        said: What it is, in words.
        seconds: How long it took to make, or to find.
        programs: Paths of the commands it has, by name.
        notes: What is not as it was.
    """

    python: str
    said: str
    seconds: float
    programs: dict[str, str]
    notes: tuple[str, ...] = ()


def own(recorded: PythonState | None) -> Made:
    """Take the interpreter that runs us."""
    notes: tuple[str, ...] = ()
    if recorded is not None:
        from loopline.tracking.environment.python import read_python

        here = read_python().packages
        other = sorted(
            name
            for name in recorded.packages.keys() | here.keys()
            if recorded.packages.get(name) != here.get(name)
        )
        if other:
            notes = (f"{len(other)} packages are not as recorded: {', '.join(other[:8])}.",)
    return Made(
        python=sys.executable,
        said=f"this interpreter, {sys.executable}",
        seconds=0.0,
        programs=_programs(Path(sys.executable).parent),
        notes=notes,
    )


def make(recorded: PythonState, home: Path, imported: Collection[str]) -> Made:
    """Make an environment as it was recorded, or find it made.

    Args:
        recorded: The interpreter and its packages.
        home: The home that keeps environments.
        imported: Packages of folders that come with the code.

    Raises:
        UnsupportedError: There is no uv, or it cannot make the environment; the message says why.
    """
    began = time.monotonic()
    wanted = sorted(
        f"{name}=={version}"
        for name, version in recorded.packages.items()
        if name not in recorded.folders and name not in TOOLS and name != OURS and version
    )
    material = json.dumps([recorded.version, recorded.implementation, wanted])
    folder = home / "environments" / f"run-{hashlib.sha256(material.encode()).hexdigest()[:32]}"
    how = "found made"
    if not (folder / READY).exists():
        with locked(folder.with_suffix(".lock")):
            if not (folder / READY).exists():
                how = _make(folder, recorded, wanted)
    notes = [
        f"{name} was installed from {place}, which is not here: this Loopline's own is used."
        if name == OURS
        else f"{name} was installed from {place}, which is not here."
        for name, place in recorded.folders.items()
        if name not in imported
    ]
    if OURS not in recorded.folders and OURS in recorded.packages:
        from importlib.metadata import version

        here = version(OURS)
        if here != recorded.packages[OURS]:
            notes.append(f"Loopline was {recorded.packages[OURS]} and is {here}.")
    version_here = _version_of(folder)
    if version_here != recorded.version:
        notes.append(f"Python was {recorded.version} and is {version_here}.")
    return Made(
        python=str(folder / "bin" / "python"),
        said=f"Python {version_here} with {len(wanted)} packages as recorded, {how}",
        seconds=round(time.monotonic() - began, 2),
        programs=_programs(folder / "bin"),
        notes=tuple(notes),
    )


def _make(folder: Path, recorded: PythonState, wanted: list[str]) -> str:
    beside = str(Path(sys.executable).parent)  # Installed with us, but not on the PATH.
    uv = shutil.which("uv") or shutil.which("uv", path=beside)
    if uv is None:
        msg = (
            "To make the recorded environment takes uv, and there is none on the PATH. Install it "
            "(pip install uv), or use this interpreter as it is with --same-environment."
        )
        raise UnsupportedError(msg)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _venv(uv, folder, recorded.version)
    inside = str(folder / "bin" / "python")
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{line}\n" for line in wanted))
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", inside]
    install += ["--requirements", str(requirements)]
    how = "made from uv's cache"
    if wanted and _run([*install, "--offline"]) is not None:
        how = "made, with packages from the index"
        said = _run(install)
        if said is not None:
            msg = (
                f"The recorded environment cannot be made: {said}\nUse this interpreter as it is "
                "with --same-environment, or run it where the packages can be had."
            )
            raise UnsupportedError(msg)
    found = importlib.util.find_spec("loopline")
    assert found is not None  # noqa: S101 - this is it
    assert found.origin is not None  # noqa: S101 - a package with a file
    (place,) = (folder / "lib").glob("python*/site-packages")
    (place / "loopline-of-who-reproduces.pth").write_text(f"{Path(found.origin).parent.parent}\n")
    (folder / READY).touch()
    return how


def _venv(uv: str, folder: Path, version: str) -> None:
    """Make an environment for a version of Python; of the same minor one where that is not here."""
    minor = ".".join(version.split(".")[:2])
    said = None
    # This interpreter is at hand, and often the very one.
    mine = [sys.executable] if sys.version.split()[0] == version else []
    for asked in (*mine, version, minor):
        quiet = [uv, "venv", "--quiet", "--no-project", "--offline", "--python", asked]
        said = _run([*quiet, str(folder)])
        if said is None:
            return
    msg = (
        f"There is no Python {version} nor another {minor} here: {said}\nInstall it "
        f"(uv python install {version}), or use this interpreter with --same-environment."
    )
    raise UnsupportedError(msg)


def _run(command: list[str]) -> str | None:
    """Run uv; answer what it said when that failed."""
    done = subprocess.run(  # noqa: S603 - no shell
        command, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    if not done.returncode:
        return None
    return "\n".join(done.stderr.strip().splitlines()[-TOLD:]) or f"uv ended with {done.returncode}"


def _version_of(folder: Path) -> str:
    """Read the version that uv wrote down."""
    for line in (folder / "pyvenv.cfg").read_text().splitlines():
        name, _, value = line.partition("=")
        if name.strip() in {"version_info", "version"}:
            return value.strip()
    return ""


def _programs(folder: Path) -> dict[str, str]:
    return {path.name: str(path) for path in folder.iterdir() if os.access(path, os.X_OK)}
