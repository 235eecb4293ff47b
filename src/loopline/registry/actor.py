"""Who acts: the name under which moves in the registry are kept."""

from __future__ import annotations

import getpass
import os

__all__ = ["current_actor"]


def current_actor() -> str:
    """Tell who acts: ``LOOPLINE_ACTOR``, else the user, else ``unknown``."""
    named = os.environ.get("LOOPLINE_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # A container's user may have no name.
        return "unknown"
