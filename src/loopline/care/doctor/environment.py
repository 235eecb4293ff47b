"""Looking at the Python that runs: its version, its packages, its settings."""

from __future__ import annotations

import os
import platform
import re
import sys
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import TYPE_CHECKING

from loopline.care.doctor.findings import fine, note, problem, warning
from loopline.settings import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.care.doctor.findings import Finding

__all__ = ["examine_environment"]

#: A requirement as packages write it down: name, extras, versions, marker.
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=\s*([0-9.]+))?")
#: Packages that are the same library under another name.
_INSTEAD = {"xgboost": "xgboost-cpu"}
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
LEAST_PYTHON = (3, 11)


def examine_environment() -> Iterator[Finding]:
    """Look at Python, at what is installed, and at misspelt settings."""
    python = f"Python {platform.python_version()} on {platform.platform()}"
    if sys.version_info < LEAST_PYTHON:
        yield problem(
            "python.version", f"{python} is too old.", "Loopline needs 3.11 or newer.",
            "Make an environment with a newer one: python3.12 -m venv .venv",
        )  # fmt: skip
    else:
        yield fine("python.version", f"{python}.")
    try:
        wanted = requires("loopline") or []
        yield fine("python.loopline", f"Loopline {metadata('loopline')['Version']} is installed.")
    except PackageNotFoundError:
        yield note(
            "python.loopline",
            "Loopline runs from a source tree and is not installed.",
            "Its packages cannot be checked.",
            "pip install -e . in that tree.",
        )
        wanted = []
    yield from _packages(wanted)
    yield from _settings()


def _packages(wanted: list[str]) -> Iterator[Finding]:
    lacking, old = [], []
    extras: dict[str, list[bool]] = {}
    for requirement in wanted:
        found = _REQUIREMENT.match(requirement)
        if found is None:
            continue
        name, least = found[1], found[2]
        extra = _EXTRA.search(requirement)
        installed = _installed(name) or _installed(_INSTEAD.get(name, name))
        if extra is not None:
            extras.setdefault(extra[1], []).append(bool(installed))
        elif not installed:
            lacking.append(name)
        elif least and _numbers(installed) < _numbers(least):
            old.append(f"{name} {installed} (needs {least})")
    if lacking or old:
        yield problem(
            "python.packages",
            f"Missing: {', '.join(lacking) or 'none'}; too old: {', '.join(old) or 'none'}.",
            "Commands that need them fail.",
            "pip install --upgrade loopline",
        )
    elif wanted:
        yield fine("python.packages", "All packages that Loopline needs are there.")
    if extras:
        there = sorted(name for name, parts in extras.items() if all(parts))
        absent = sorted(set(extras) - set(there))
        hint = f'; not: {", ".join(absent)} (pip install "loopline[NAME]")' if absent else ""
        yield fine("python.extras", f"Extras installed: {', '.join(there) or 'none'}{hint}.")


def _settings() -> Iterator[Finding]:
    for name in sorted(os.environ):
        if name.startswith("LOOPLINE_") and name not in ENVIRONMENT:
            near = get_close_matches(name, ENVIRONMENT, n=1)
            meant = f"It may mean {near[0]}." if near else "Unset it."
            yield warning(
                "settings.unknown",
                f"The environment variable {name} means nothing to Loopline.",
                "A misspelt setting has no effect.",
                meant,
            )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
