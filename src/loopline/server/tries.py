"""Wrong passwords, counted: by user, by address, and by both."""

from __future__ import annotations

import threading
import time
from collections import deque

from loopline.server.errors import TooManyTriesError

__all__ = ["Tries"]

WINDOW_S = 300.0
#: Wrong passwords in the window, by one user from one address, by one user, from one address.
MOST_OF_BOTH, MOST_OF_USER, MOST_OF_ADDRESS = 10, 50, 50
#: Keys remembered; more are an attack, whose oldest part is forgotten.
MOST_KEYS = 20_000

MOST_NAME = 101

Key = tuple[str, str]


class Tries:
    """Counts wrong passwords and says when it is enough. Safe to use from several threads."""

    def __init__(self) -> None:
        self._times: dict[Key, deque[float]] = {}
        self._lock = threading.Lock()

    def begin(self, user: str, address: str) -> None:
        """Count a password that is about to be looked at, before it is known to be wrong.

        A thousand that come at one moment are so no more than those that come one by one.

        Raises:
            TooManyTriesError: Too many were wrong, and it is not looked at; it says for how long.
        """
        now = time.monotonic()
        keys = _keys(user, address)
        with self._lock:
            for key, most in keys:
                times = self._times.get(key)
                if times is None:
                    continue
                while times and times[0] <= now - WINDOW_S:
                    times.popleft()
                if not times:
                    del self._times[key]
                elif len(times) >= most:
                    raise TooManyTriesError(max(1, round(times[-most] + WINDOW_S - now)))
            for key, most in keys:
                if key not in self._times and len(self._times) >= MOST_KEYS:
                    del self._times[next(iter(self._times))]
                self._times.setdefault(key, deque(maxlen=most)).append(now)

    def was_right(self, user: str, address: str) -> None:
        """Take back a count, and forget what one user did wrong from one address."""
        both, *others = (key for key, _ in _keys(user, address))
        with self._lock:
            self._times.pop(both, None)
            for key in others:
                if times := self._times.get(key):
                    times.pop()


def _keys(user: str, address: str) -> tuple[tuple[Key, int], ...]:
    user = user[:MOST_NAME]  # What is longer is nobody's, and must not fill the memory.
    # A user's name is never empty and an address never an asterisk.
    return (
        ((user, address), MOST_OF_BOTH),
        ((user, "*"), MOST_OF_USER),
        (("", address), MOST_OF_ADDRESS),
    )
