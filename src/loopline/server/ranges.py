"""Reading the headers of conditional and partial requests: ``Range`` and ``If-None-Match``."""

from __future__ import annotations

import re

__all__ = ["names_tag", "parse_range"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def names_tag(header: str, tag: str) -> bool:
    """Tell whether a list of entity tags has ``tag``, or ``*``; weak ones count, too."""
    tags = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in tags or f'"{tag}"' in tags


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Give the first byte and the one past the last that ``header`` asks for.

    Several ranges, or a header that is none, ask for the whole file, as RFC 9110 allows: None.

    Raises:
        ValueError: When no byte of the file lies in the range (answer 416).
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        end = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= end:
        msg = f"bytes {start} to {end} of a file of {size} bytes"
        raise ValueError(msg)
    return start, end
