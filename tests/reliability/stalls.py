"""How long the machine itself made everybody wait: what no bound on a program can leave out."""

from __future__ import annotations

import threading
import time
from typing import Self

__all__ = ["Stalls"]

_TICK_S = 0.02


class Stalls:
    """Sleeps briefly, again and again, and keeps by how much the longest sleep was too long.

    Attributes:
        longest_s: That much, so far.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(_TICK_S)
            self.longest_s = max(self.longest_s, time.monotonic() - began - _TICK_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
