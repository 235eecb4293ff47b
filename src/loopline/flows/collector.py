"""Spares the garbage collector what was there before a flow run."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sparing_collector"]

_lock = threading.Lock()
_users = 0
_is_ours = False


@contextmanager
def sparing_collector() -> Iterator[None]:
    """Have collections pass over what is there already, until the last user is through.

    A flow of ten thousand tasks makes the collector walk through everything the process has,
    again and again, which costs a third of the flow. A program that has frozen things itself is
    left alone.
    """
    global _users, _is_ours  # noqa: PLW0603 - the collector is global, too
    with _lock:
        _users += 1
        if _users == 1 and not gc.get_freeze_count():
            gc.freeze()
            _is_ours = True
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _is_ours:
                gc.unfreeze()
                _is_ours = False
