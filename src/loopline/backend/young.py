"""The first seconds of a process that records: it hands in, and does not open the store.

A script that is over by then has never imported what opens the store. One that goes on, asks
something, or records what the store could refuse opens it, and everything goes the whole road.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loopline.records.facts import Batch, Receipt
from loopline.rules.certain import Certain
from loopline.settings import blobs_address
from loopline.store.hand_in import HandedIn, HandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loopline.backend.protocol import Backend

__all__ = ["Young"]

#: From this age on a process is one that goes on.
YOUNG_S = 2.0


class Young:
    """Where a process's batches go as long as it is young, in place of its backend.

    Args:
        home: The home that it records to.
        opened: Gives the backend if it is open, without opening it.
        open_backend: Gives it, opening it at need.
    """

    def __init__(
        self,
        home: Path,
        opened: Callable[[], Backend | None],
        open_backend: Callable[[], Backend],
    ) -> None:
        self._home = home
        self._opened = opened
        self._open_backend = open_backend
        self._hand_in = HandIn(home / "loopline.db")
        self._certain = Certain()
        self._until = time.monotonic() + YOUNG_S
        self._is_over = False

    @property
    def lasts(self) -> bool:
        """Whether batches are handed in."""
        if not self._is_over and (self._opened() is not None or time.monotonic() > self._until):
            self._is_over = True
        return not self._is_over

    def ends(self) -> None:
        """Know that the process ends: however old it is, it need not open the store any more."""
        self._until = float("inf")

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Hand a batch in, or open the backend for it and for all that follow."""
        if (
            self.lasts
            and self._certain.are(batch.facts)
            and (not files or self._keep(files))
            and self._hand_in.put(HandedIn(batch=batch))
        ):
            return Receipt(acknowledged=batch.end)
        self._is_over = True
        return self._open_backend().deliver(batch, files)

    def _keep(self, files: Mapping[str, Path]) -> bool:
        """Keep files in the home's own folder of blobs; elsewhere they are the backend's work."""
        from loopline.blobs.local import LocalBlobs
        from loopline.blobs.stores import is_beside

        folder = self._home / "blobs"
        is_own = blobs_address(self._home) == str(folder)
        if not is_own or not is_beside(folder, str(self._home / "loopline.db")):
            return False
        blobs = LocalBlobs(folder)
        return all(blobs.put_file(path)[0] == digest for digest, path in files.items())

    def say_goodbye(self, writer: str, reason: str) -> bool:
        """Hand in that the writer is gone; False when the backend is to be told instead."""
        nothing = Batch(writer=writer, start=0, end=0, facts=[])
        return self.lasts and self._hand_in.put(HandedIn(batch=nothing, gone=reason))

    def close(self) -> None:
        """Let go of the store's file."""
        self._hand_in.close()

    def abandon(self) -> None:
        """Let go in a forked child, without touching what is the parent's."""
        self._hand_in.abandon()
