"""Spares the garbage collector what was there before a flow run."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sparing_collector"]

#: New objects after which the collector looks; Python's own 700 are a dozen tasks.
_NEW_OBJECTS = 10_000

_lock = threading.Lock()
_users = 0
_is_ours = False
_before: tuple[int, int, int] = gc.get_threshold()


@contextmanager
def sparing_collector() -> Iterator[None]:
    """Have collections come seldom and pass over what is there, until the last user is through.

    A flow of ten thousand tasks makes the collector walk through everything the process has,
    again and again, which costs a third of the flow. A program that has frozen things itself is
    left alone.
    """
    global _users, _is_ours, _before  # noqa: PLW0603 - the collector is global, too
    with _lock:
        _users += 1
        if _users == 1 and not gc.get_freeze_count():
            gc.freeze()
            _is_ours = True
            _before = gc.get_threshold()
            if 0 < _before[0] < _NEW_OBJECTS:  # 0: somebody has switched it off.
                gc.set_threshold(_NEW_OBJECTS, 20, 50)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _is_ours:
                gc.unfreeze()
                gc.set_threshold(*_before)
                _is_ours = False
