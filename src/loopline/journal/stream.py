"""One stream of a journal while its writer lives: append a fact, append a metric point."""

from __future__ import annotations

import threading
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from loopline.errors import JournalClosedError, StorageFullError
from loopline.journal.format import (
    DEFINITION,
    DEFINITION_KIND,
    FACT,
    FIRST,
    POINT,
    POINT_KIND,
    POINT_RECORD,
    crc_seed,
    padded,
    position_of,
)
from loopline.journal.segment import Segment, create_segment

if TYPE_CHECKING:
    from mmap import mmap
    from pathlib import Path

    from loopline.records.facts import Fact

__all__ = ["Series", "Stream", "segment_path"]

#: Room in a segment. Small, for each process makes one; larger facts get a larger segment.
SEGMENT_BYTES = 1 << 20
_encoder = msgspec.msgpack.Encoder()
_pack_point = POINT.pack
_put_point = Struct(f"<I{POINT.size}s").pack_into
_POINT_LENGTH = POINT.size.to_bytes(4, "little")
_FACT_BYTE = bytes((FACT,))


def segment_path(folder: Path, number: int) -> Path:
    """Tell where a segment lies."""
    return folder / f"{number:08d}.seg"


class Series:
    """A metric of a run that points are appended to; whoever logs them keeps it.

    Attributes:
        run_id: 32 hex digits.
        key: Name of the metric.
        segment: The segment that knows it by ``number``; it has no number elsewhere.
        number: What its points are written under there.
    """

    __slots__ = ("key", "number", "run_id", "segment")

    def __init__(self, run_id: str, key: str) -> None:
        """Name a metric of a run; nothing is written."""
        self.run_id = run_id
        self.key = key
        self.segment: Segment | None = None
        self.number = 0


class Stream:
    """Appends records; what an append returned for survives the death of the process.

    Attributes:
        folder: Where its segments lie.
    """

    def __init__(self, folder: Path, writer: str, *, mapped: bool, most_bytes: int = 0) -> None:
        """Make the stream's folder and its first segment.

        Args:
            folder: Where its segments are to lie.
            writer: Id of the journal, which each segment names.
            mapped: Whether segments are mapped into memory.
            most_bytes: Its quota: room that may wait to be sent; 0 is no limit.
        """
        self.folder = folder
        self._most_bytes = most_bytes
        self._writer = writer
        self._mapped = mapped
        self._lock = threading.Lock()
        self._is_closed = False
        self._numbers: dict[tuple[str, str], int] = {}
        self._number = 0
        self._segment: Segment | None = None
        self._memory: mmap | None = None
        self._seed = 0
        self._size = 0
        #: The last place at which a point still fits.
        self._last = 0
        self._offset = 0
        folder.mkdir(exist_ok=True)
        self._roll(0)

    @property
    def tail(self) -> int:
        """Position after the last record."""
        while True:
            number, offset = self._number, self._offset
            if number == self._number:  # Else another thread has just begun a new segment.
                return position_of(number, offset)

    def append(self, fact: Fact) -> None:
        """Append a fact.

        Raises:
            StorageFullError: A new segment was needed, and there is no room for it on the disk
                or in the stream's quota; nothing was appended.
        """
        payload = _FACT_BYTE + _encoder.encode(fact)
        with self._lock:
            self._put(payload)

    def append_point(self, series: Series, step: int, timestamp_ms: int, value: float) -> None:
        """Append one point of a metric: 40 bytes.

        Raises:
            StorageFullError: A new segment was needed and there is no room for it.
            struct.error: The step or timestamp has more than 64 bits; nothing was appended.
        """
        # The hottest lines of the package: `crc_seed` and `put` are written out. `crc32` masks
        # its seed itself.
        with self._lock:
            offset = self._offset
            if series.segment is not self._segment or offset > self._last:
                self._define(series)
                offset = self._offset
            payload = _pack_point(POINT_KIND, series.number, step, timestamp_ms, value)
            crc = crc32(payload, self._seed + offset)
            memory = self._memory
            if memory is None:
                self._segment.put(offset, payload, crc)  # type: ignore[union-attr]
            else:
                _put_point(memory, offset + 4, crc, payload)
                memory[offset : offset + 4] = _POINT_LENGTH
            self._offset = offset + 40

    def _define(self, series: Series) -> None:
        """Number a metric in this segment, rolling on when there is no room for a point."""
        name = (series.run_id, series.key)
        text = _encoder.encode(name)
        if self._offset + 8 + padded(8 + len(text)) + 40 > self._size:
            self._roll(0)
        number = self._numbers.get(name)
        if number is None:
            number = len(self._numbers)
            self._put(DEFINITION.pack(DEFINITION_KIND, number) + text)
            self._numbers[name] = number
        series.number, series.segment = number, self._segment

    def _put(self, payload: bytes) -> None:
        room = 8 + padded(len(payload))
        if self._offset + room > self._size:
            self._roll(room)
        offset = self._offset
        crc = crc32(payload, (self._seed + offset) & 0xFFFFFFFF)
        assert self._segment is not None  # noqa: S101 - `_roll` made one
        self._segment.put(offset, payload, crc)
        self._offset = offset + room

    def _roll(self, room: int) -> None:
        """Go on in a new segment; the old one stays until the store has all of it."""
        if self._is_closed:
            msg = "The journal is closed. Start recording again with a new recorder."
            raise JournalClosedError(msg)
        size = max(SEGMENT_BYTES, FIRST + room)
        # A new stream has nothing that waits: whoever makes it is not to look.
        waiting = self._waiting_bytes() if self._most_bytes and self._number else 0
        if self._most_bytes and waiting + size > self._most_bytes:
            msg = (
                f"What waits in {self.folder} to be sent has reached its quota of "
                f"{self._most_bytes // 2**20} MB. Bring the store back; what waits then arrives."
            )
            raise StorageFullError(msg)
        number = self._number + 1
        segment = create_segment(
            segment_path(self.folder, number), number, self._writer, size, mapped=self._mapped
        )
        if self._segment is not None:
            self._segment.close()
        # The offset first, for `tail` is read without the lock.
        self._offset, self._number = FIRST, number
        self._segment, self._size, self._last = segment, size, size - POINT_RECORD.size
        self._memory, self._seed = segment.memory, crc_seed(number, 0)
        self._numbers = {}

    def _waiting_bytes(self) -> int:
        """Measure the segments: those that the store has are deleted."""
        sizes = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # Just sent.
                sizes.append(path.stat().st_size)
        return sum(sizes)

    def close(self) -> None:
        """Let go of the file; nothing may be appended any more."""
        with self._lock:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the file in a forked child, where the lock may be held by nobody alive."""
        if self._segment is not None:
            self._segment.close()
            self._segment = self._memory = None
        self._size = self._last = 0
        self._is_closed = True
