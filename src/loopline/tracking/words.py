"""Names: of runs nobody named, and of the person at work."""

from __future__ import annotations

import getpass
import os
import secrets
from functools import cache

__all__ = ["random_name", "user_name"]

_KINDS = (
    *("amber", "brisk", "calm", "clever", "crisp", "dapper", "eager", "early", "fleet", "gentle"),
    *("golden", "hearty", "keen", "late", "lively", "lucky", "mellow", "nimble", "polite", "quick"),
    *("quiet", "rapid", "sharp", "silver", "snug", "steady", "sunny", "swift", "tidy", "warm"),
)
_THINGS = (
    *("avenue", "bridge", "cab", "corner", "crossing", "curb", "depot", "fare", "ferry", "harbor"),
    *("hybrid", "junction", "lane", "lantern", "map", "market", "meter", "metro", "park", "pier"),
    *("plaza", "ramp", "rider", "route", "shift", "signal", "stand", "street", "tip", "tunnel"),
)


def random_name() -> str:
    """Make up a name such as ``swift-meter-417``."""
    kind, thing = secrets.choice(_KINDS), secrets.choice(_THINGS)
    return f"{kind}-{thing}-{secrets.randbelow(900) + 100}"


@cache
def user_name() -> str:
    """Name of the person this process works for."""
    try:
        return os.environ.get("LOOPLINE_ACTOR") or getpass.getuser()
    except (OSError, KeyError):  # A container may run under a number that has no name.
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
