"""From how many places the C library hands out memory to the threads of a server."""

from __future__ import annotations

import sys

__all__ = ["bound_arenas"]

#: As glibc's ``malloc.h`` numbers it.
_M_ARENA_MAX = -8
#: The process's own, and one beside it.
ARENAS = 2


def bound_arenas() -> None:
    """Let all threads share two arenas; for a process that has started none yet.

    glibc gives threads arenas of their own, up to eight a core. SQLite's pages come and go in all
    of them, and what is free in one is of no use to another: under a thousand connections a server
    holds 20 MB of nothing, and takes more for many minutes. Its threads wait for Python's lock
    rather than for an arena's. Other C libraries have no arenas, and are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, ARENAS)
