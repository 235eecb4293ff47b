"""The interpreter, and the packages installed for it, told from the names of their folders."""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import TYPE_CHECKING

from loopline.records.environment import PythonState

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_python"]

_INSTALLED = re.compile(
    r"(?P<name>[\w.]+?)-(?P<version>[^-]+)(?:-py[\d.]+)?(?:-[\w.\-]+)?\.(?:dist|egg)-info\Z"
)
#: Packages found, and the folders with their times of change that they were found in.
_found: list[tuple[tuple[tuple[str, int], ...], dict[str, str]]] = []


def read_python() -> PythonState:
    """Read what runs; packages are looked for again only after one was installed."""
    return PythonState(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        prefix=sys.prefix,
        packages=_packages(),
    )


def _packages() -> dict[str, str]:
    folders = tuple(_folders())
    if not _found or _found[0][0] != folders:
        packages: dict[str, str] = {}
        for folder, _ in folders:
            for name, version in _installed_in(folder):
                packages.setdefault(name, version)  # The first on the path is what is imported.
        _found[:] = [(folders, dict(sorted(packages.items())))]
    return _found[0][1]


def _folders() -> Iterator[tuple[str, int]]:
    for place in dict.fromkeys(sys.path):
        try:
            yield place or ".", os.stat(place or ".").st_mtime_ns  # noqa: PTH116 - many and often
        except OSError:
            continue  # A zip, or a folder that is not there.


def _installed_in(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the distributions of a folder: ``<name>-<version>.dist-info`` and its likes.

    Only names of folders are read: to open the metadata of hundreds of packages takes as long
    as a short training.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return
    for entry in names:
        if entry.endswith("-info"):
            match = _INSTALLED.match(entry)
            if match:
                yield re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"]
            elif entry.endswith(".egg-info"):  # In development; the version stands inside.
                yield re.sub(r"[-_.]+", "-", entry[:-9]).lower(), _version_in(folder, entry)


def _version_in(folder: str, entry: str) -> str:
    try:
        with open(os.path.join(folder, entry, "PKG-INFO"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            for line in file:
                if line.startswith("Version:"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""
