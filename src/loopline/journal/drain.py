"""Sending a journal's records to the store, exactly once, however often it takes.

The store knows how far it has each writer's stream and takes a batch only where the last one
ended; so a batch whose answer was lost is simply sent again.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Protocol

from loopline.errors import ConflictError
from loopline.journal.format import FIRST, RECORDS, position_of, segment_of
from loopline.journal.reader import Reader
from loopline.journal.stream import segment_path
from loopline.records.facts import ArtifactLogged, Batch, Fact, Receipt, TaskRunState

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.journal.journal import Meta

__all__ = ["Sink", "StreamDrain"]

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
#: Position at which a stream's first record will lie: up to there it is empty.
EMPTY = position_of(1, FIRST)


class Sink(Protocol):
    """Where a journal's records go: the part of a backend that this needs."""

    def send(self, batch: Batch) -> Receipt:
        """Ingest journaled facts."""
        ...

    def put_blob(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes."""
        ...


class StreamDrain:
    """Sends one stream of one journal.

    Attributes:
        acknowledged: Position up to which the store has the stream.
        refused: Facts the store refused for good, so far.
        reasons: Why, of the first few of the last batch.
    """

    def __init__(self, folder: Path, name: str, meta: Meta, *, adopted: bool = False) -> None:
        """Drain the stream ``name`` of the journal in ``folder``."""
        self._writer = meta.writer if name == "facts" else f"{meta.writer}/{name}"
        self._folder = folder / name
        self._staged = folder / "staged"
        self._meta = meta
        self._adopted = adopted
        self._reader = Reader(self._folder, is_newer=meta.format > RECORDS)
        self.acknowledged = 0
        self.refused = 0
        self.reasons: list[str] = []

    def reached(self, position: int) -> bool:
        """Whether the store has the stream up to a position, which may hold no record yet."""
        return self.acknowledged >= position or (not self.acknowledged and position == EMPTY)

    def send_some(self, sink: Sink) -> bool:
        """Send one batch, if there is anything to send; tell whether there was.

        Raises:
            LooplineError: The store cannot take it now; nothing is lost, call again.
        """
        page = self._reader.read(self.acknowledged)
        if page.end == self.acknowledged:
            return False
        facts = [fact for fact in page.facts if self._upload(sink, fact)]
        batch = Batch(
            writer=self._writer,
            start=self.acknowledged,
            end=page.end,
            facts=facts,
            host=self._meta.host,
            pid=self._meta.pid,
            adopted=self._adopted,
        )
        try:
            receipt = sink.send(batch)
        except ConflictError:
            # The store is behind what it acknowledged once (it was restored from a backup).
            # What is still here is offered from the beginning; what it knows it passes over.
            if not self.acknowledged:
                raise
            self.acknowledged = 0
            return True
        self.refused += receipt.refused
        self.reasons = receipt.reasons
        self.acknowledged = receipt.acknowledged
        self._forget(page.facts if receipt.acknowledged >= page.end else [])
        return True

    @property
    def is_damaged(self) -> bool:
        """Whether there are records that cannot be read, after those that were sent."""
        return self._reader.is_damaged

    def _upload(self, sink: Sink, fact: Fact) -> bool:
        """Bring the bytes that a fact names to the blob store before the fact itself.

        Returns:
            Whether the fact is to be sent: not when its bytes were damaged, as by a power cut.
        """
        digest = _blob_of(fact)
        if not digest or not (self._staged / digest).exists():
            return True
        kept, _size = sink.put_blob(self._staged / digest)
        if kept != digest:
            warnings.warn(
                f"A file on its way to the store is damaged and was left out: {fact}. "
                "Log it again.",
                RuntimeWarning,
                stacklevel=2,
            )
        return kept == digest

    def _forget(self, facts: list[Fact]) -> None:
        """Delete what the store has now: staged files and whole segments."""
        for fact in facts:
            digest = _blob_of(fact)
            if digest:
                (self._staged / digest).unlink(missing_ok=True)
        current, _ = segment_of(self.acknowledged)
        segments = self._reader.segments()
        for number in segments:
            # The last segment is still written to, or holds the end of what was.
            if number < current and number != segments[-1]:
                segment_path(self._folder, number).unlink(missing_ok=True)


def _blob_of(fact: Fact) -> str:
    """Tell the blob that a fact names; empty for none, and for what is no hash.

    The check matters: the text becomes a path, and a copied journal is somebody else's bytes.
    """
    match fact:
        case ArtifactLogged():
            named = fact.sha256
        case TaskRunState():
            named = fact.result
        case _:
            return ""
    return named if _SHA256.match(named) else ""
