"""Which version of Loopline is installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version"]


@cache
def installed_version() -> str:
    """Read the version from the installed package; a source tree on the path says so."""
    try:
        return version("loopline")
    except PackageNotFoundError:
        return "0+source"
