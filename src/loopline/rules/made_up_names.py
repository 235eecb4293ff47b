"""Names for what nobody named, such as ``quiet-ferry-412``."""

from __future__ import annotations

__all__ = ["made_up_name"]

_HOW = (
    "brisk", "calm", "clever", "early", "gentle", "keen", "late", "lively", "lucky", "mellow",
    "nimble", "patient", "quick", "quiet", "rainy", "silent", "sunny", "swift", "tidy", "windy",
)  # fmt: skip
_WHAT = (
    "avenue", "bridge", "broadway", "cab", "corner", "crossing", "ferry", "garage", "harbor",
    "junction", "lane", "meter", "night", "park", "plaza", "ramp", "shift", "square", "taxi",
    "tunnel",
)  # fmt: skip


def made_up_name(hexadecimal: str) -> str:
    """Make up a name that people can say, always the same for an id of hex digits."""
    number = int(hexadecimal[:12], 16)
    how, rest = number % len(_HOW), number // len(_HOW)
    return f"{_HOW[how]}-{_WHAT[rest % len(_WHAT)]}-{rest // len(_WHAT) % 1000}"
