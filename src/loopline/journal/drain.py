"""Sending a journal's records to the store, exactly once, however often it takes.

The store knows how far it has each writer's stream and takes a batch only where the last one
ended; so a batch whose answer was lost is simply sent again.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Protocol

import msgspec

from loopline.errors import ConflictError, IntegrityError
from loopline.journal.format import FIRST, RECORDS, position_of, segment_of
from loopline.journal.reader import Reader
from loopline.journal.stream import segment_path
from loopline.records.facts import ArtifactLogged, Batch, Fact, Receipt, TaskRunState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loopline.journal.journal import Meta

__all__ = ["DamagedFilesError", "Sink", "StreamDrain"]

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
#: Position at which a stream's first record will lie: up to there it is empty.
EMPTY = position_of(1, FIRST)


class Sink(Protocol):
    """Where a journal's records go: the part of a backend that this needs."""

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Ingest journaled facts once the files that they name are durable."""
        ...


class DamagedFilesError(IntegrityError):
    """Files on their way to the store do not have the hash they were staged under.

    Attributes:
        digests: Those hashes.
    """

    def __init__(self, digests: set[str]) -> None:
        self.digests = digests
        listed = ", ".join(sorted(digests))
        super().__init__(f"Damaged on the way to the store: {listed}. Log the files again.")


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
        batch = Batch(
            writer=self._writer,
            start=self.acknowledged,
            end=page.end,
            facts=page.facts,
            host=self._meta.host,
            pid=self._meta.pid,
            adopted=self._adopted,
        )
        try:
            receipt = self._deliver(sink, batch)
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

    def _deliver(self, sink: Sink, batch: Batch) -> Receipt:
        """Send a batch and the bytes its facts name, less those damaged, as by a power cut."""
        named = dict.fromkeys(filter(None, map(_blob_of, batch.facts)))
        files = {each: self._staged / each for each in named if (self._staged / each).exists()}
        try:
            return sink.deliver(batch, files)
        except DamagedFilesError as error:
            damaged = error.digests
        for fact in [fact for fact in batch.facts if _blob_of(fact) in damaged]:
            warnings.warn(
                f"A file on its way to the store is damaged and was left out: {fact}. "
                "Log it again.",
                RuntimeWarning,
                stacklevel=3,
            )
        facts = [fact for fact in batch.facts if _blob_of(fact) not in damaged]
        left = {digest: path for digest, path in files.items() if digest not in damaged}
        return sink.deliver(msgspec.structs.replace(batch, facts=facts), left)

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
    if isinstance(fact, TaskRunState):
        named = fact.result
    elif isinstance(fact, ArtifactLogged):
        named = fact.sha256
    else:
        return ""
    return named if named and _SHA256.match(named) else ""
