"""The interpreter, and the packages installed for it, told from the names of their folders."""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from loopline.records.environment import PythonState

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_python"]

_INSTALLED = re.compile(
    r"(?P<name>[\w.]+?)-(?P<version>[^-]+)(?:-py[\d.]+)?(?:-[\w.\-]+)?\.(?:dist|egg)-info\Z"
)
#: Packages found, those of folders, and where they were found with the times of change there.
_found: list[tuple[tuple[tuple[str, int], ...], dict[str, str], dict[str, str]]] = []


def read_python() -> PythonState:
    """Read what runs; packages are looked for again only after one was installed."""
    packages, of_folders = _packages()
    return PythonState(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        prefix=sys.prefix,
        packages=packages,
        folders=of_folders,
    )


def _packages() -> tuple[dict[str, str], dict[str, str]]:
    folders = tuple(_folders())
    if not _found or _found[0][0] != folders:
        packages: dict[str, str] = {}
        of_folders: dict[str, str] = {}
        for folder, _ in folders:
            for name, version, place in _installed_in(folder):
                if name not in packages:  # The first on the path is what is imported.
                    packages[name] = version
                    if place:
                        of_folders[name] = place
        _found[:] = [(folders, dict(sorted(packages.items())), dict(sorted(of_folders.items())))]
    return _found[0][1], _found[0][2]


def _folders() -> Iterator[tuple[str, int]]:
    for place in dict.fromkeys(sys.path):
        try:
            yield place or ".", os.stat(place or ".").st_mtime_ns  # noqa: PTH116 - many and often
        except OSError:
            continue  # A zip, or a folder that is not there.


def _installed_in(folder: str) -> Iterator[tuple[str, str, str]]:
    """Yield the distributions of a folder: ``<name>-<version>.dist-info`` and its likes.

    Only names of folders are read: to open the metadata of hundreds of packages takes as long
    as a short training. Of those installed from a folder, one small file tells which.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return
    for entry in names:
        if entry.endswith("-info"):
            match = _INSTALLED.match(entry)
            if match:
                place = _place_of(folder, entry)
                yield re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"], place
            elif entry.endswith(".egg-info"):  # In development; the version stands inside.
                name = re.sub(r"[-_.]+", "-", entry[:-9]).lower()
                yield name, _version_in(folder, entry), folder


def _place_of(folder: str, entry: str) -> str:
    """Tell the folder that a distribution was installed from; empty: from an index or archive."""
    path = os.path.join(folder, entry, "direct_url.json")  # noqa: PTH118 - many and often
    if not os.path.exists(path):  # noqa: PTH110 - as above
        return ""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            told = msgspec.json.decode(file.read())
        url = told["url"] if "dir_info" in told else ""
        return unquote(urlsplit(url).path) if url.startswith("file:") else ""
    except (OSError, KeyError, TypeError, AttributeError, ValueError):
        return ""


def _version_in(folder: str, entry: str) -> str:
    try:
        with open(os.path.join(folder, entry, "PKG-INFO"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            for line in file:
                if line.startswith("Version:"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""
