"""What people give: version numbers, tags, and who they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.tracking.words import user_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["actor", "as_number", "as_texts"]


def actor() -> str:
    """Tell who acts; looked up each time, for one process may act for several people."""
    return os.environ.get("LOOPLINE_ACTOR") or user_name()


def as_number(version: int | str) -> int:
    """Take a version number, given as a number or as text.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        number = int(version)
    except ValueError:
        number = 0
    if number < 1:
        msg = (
            f"A version is a number from 1 on, not {version!r}. See them with list_versions(name)."
        )
        raise InvalidInputError(msg)
    return number


def as_texts(tags: Mapping[str, Any] | None) -> dict[str, str]:
    """Take tags, whose values may be anything that has a text."""
    return {str(key): str(value) for key, value in (tags or {}).items()}
