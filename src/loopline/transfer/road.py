"""The road of imported facts into a store: in order, each exactly once, without a journal.

An import has one writer per source, named by a hash of what the source is. The store keeps that
writer's position and moves it in the transaction that takes a batch, so a batch that was sent
twice is taken once. How far a batch moves it is drawn by lot: by that an import tells its own
batch from one that another import of the same source has put in its place. What to send is never
guessed from the position: each part of an import begins by asking what is there.
"""

from __future__ import annotations

import os
import socket
from hashlib import sha256
from secrets import randbelow
from typing import TYPE_CHECKING

from loopline.errors import ConflictError
from loopline.records.facts import Batch, MetricPoints
from loopline.records.operations import Heartbeat

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact

__all__ = ["Road"]

#: Bytes of points and number of facts past which a batch is sent; servers take 64 MiB.
MOST_BYTES = 8 * 2**20
MOST_FACTS = 10_000
#: Positions have 63 bits: room for two thousand million batches.
STRIDE = 2**32


class Road:
    """Gathers facts and sends them in batches.

    Attributes:
        writer: Id of the import's writer.
        refused: Facts that the store will never take; the reasons stand beside their runs.
    """

    def __init__(self, backend: Backend, identity: str) -> None:
        self._backend = backend
        self.writer = sha256(f"import\0{identity}".encode()).hexdigest()[:32]
        self.refused = 0
        self._facts: list[Fact] = []
        self._bytes = 0
        self._position: int | None = None

    def add(self, fact: Fact) -> None:
        """Put a fact behind the others; it is safe after the next ``flush``."""
        self._facts.append(fact)
        if isinstance(fact, MetricPoints):
            self._bytes += 3 * len(fact.steps)
        if self._bytes >= MOST_BYTES or len(self._facts) >= MOST_FACTS:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered; on return the store has it, for good.

        Raises:
            ConflictError: Another import of the same source has sent something meanwhile: what
                is to be sent must be found out anew.
        """
        facts, self._facts, self._bytes = self._facts, [], 0
        if not facts:
            return
        start = self._ask_position() if self._position is None else self._position
        batch = Batch(
            writer=self.writer,
            start=start,
            end=start + 1 + randbelow(STRIDE),
            facts=facts,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._position = None  # Not known until the store has answered.
        receipt = self._backend.send(batch)
        if receipt.acknowledged != batch.end:
            msg = (
                "Another import of the same source is running and has sent something meanwhile. "
                "Wait for it to end, then run this one again: it adds what is missing."
            )
            raise ConflictError(msg)
        self._position = batch.end
        self.refused += receipt.refused

    def start_over(self) -> None:
        """Forget what was gathered and where the store stands."""
        self._facts, self._bytes, self._position = [], 0, None

    def _ask_position(self) -> int:
        return self._backend.call(Heartbeat(writer=self.writer))
