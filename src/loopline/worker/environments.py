"""Recorded environments: a Python with the versions that a flow was registered with, made by uv.

One folder an environment, named by its hash, made once and used by every run after that. The
Loopline inside is the worker's own, so that both speak the same language.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.disk import locked
from loopline.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["python_of", "requirements_of"]

READY = "ready"
#: Lines of what uv said that are told.
TOLD = 5


def python_of(environment: Mapping[str, str], home: Path) -> str:
    """Return the Python of an environment, making it at first use.

    Args:
        environment: Python's minor version, and packages with their versions.
        home: The home that keeps environments.

    Raises:
        UnsupportedError: There is no uv, or it cannot make the environment; the message says why.
    """
    wanted = requirements_of(environment)
    material = json.dumps([environment.get("python", ""), wanted])
    folder = home / "environments" / hashlib.sha256(material.encode()).hexdigest()[:32]
    python = folder / "bin" / "python"
    if not (folder / READY).exists():
        with locked(folder.with_suffix(".lock")):
            if not (folder / READY).exists():
                _make(folder, environment.get("python", ""), wanted)
    return str(python)


def requirements_of(environment: Mapping[str, str]) -> list[str]:
    """List what is installed: the recorded versions, and what Loopline itself needs."""
    recorded = {name: version for name, version in environment.items() if name not in _OWN}
    needs = importlib.metadata.requires("loopline") or []
    return sorted(
        [f"{name}=={version}" for name, version in recorded.items()]
        + [need for need in needs if "extra ==" not in need]
    )


_OWN = frozenset({"python", "loopline"})


def _make(folder: Path, python: str, wanted: list[str]) -> None:
    uv = shutil.which("uv")
    if uv is None:
        msg = (
            "The flow's recorded environment needs uv, and there is none on this worker's PATH. "
            "Install it (pip install uv), or start the worker without --environment recorded."
        )
        raise UnsupportedError(msg)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    version = ["--python", python] if python else []
    _run([uv, "venv", "--quiet", *version, str(folder)])
    inside = str(folder / "bin" / "python")
    _run([uv, "pip", "install", "--quiet", "--python", inside, *wanted])
    found = importlib.util.find_spec("loopline")
    assert found is not None  # noqa: S101 - this is it
    assert found.origin is not None  # noqa: S101 - a package with a file
    (place,) = (folder / "lib").glob("python*/site-packages")
    (place / "loopline-of-the-worker.pth").write_text(f"{Path(found.origin).parent.parent}\n")
    (folder / READY).touch()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-TOLD:])
        msg = (
            f"The flow's recorded environment cannot be made (uv ended with {done.returncode}): "
            f"{said}\nRegister the flow from an environment whose packages can be installed, or "
            "start the worker without --environment recorded."
        )
        raise UnsupportedError(msg)
