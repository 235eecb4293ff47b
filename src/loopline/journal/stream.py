"""One stream of a journal while its writer lives: append a fact, append a metric point."""

from __future__ import annotations

import threading
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from loopline.errors import (
    ConflictError,
    InvalidInputError,
    JournalClosedError,
    StorageFullError,
)
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
from loopline.records.facts import MetricPoints, fact_decoder

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.facts import Fact

__all__ = ["Series", "Stream", "segment_path"]

#: Room in a segment. Small, for each process makes one; larger facts get a larger segment.
SEGMENT_BYTES = 1 << 20
_encoder = msgspec.msgpack.Encoder()
_pack_point = POINT.pack
_put_point = Struct(f"<I{POINT.size}s").pack_into
_FACT_BYTE = bytes((FACT,))
_one_whole, _one_number = Struct("<q").pack, Struct("<d").pack
#: In the place of the offset while an append is at work. It is greater than every offset.
_BUSY = 1 << 62


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

    An append may be interrupted in its own thread, by the handler of a signal (as batch systems
    send them before they kill) or by an object's ``__del__``. What they append goes to the
    journal's other stream, for this one is in the middle of a record; what they raise leaves the
    stream as it was. Python runs them after calls and at loops only, so that the statements which
    finish a record, which call nothing, are never divided.

    Attributes:
        folder: Where its segments lie.
        aside: Where a fact goes that interrupts an append to this stream.
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
        self.aside: Stream | None = None
        self._most_bytes = most_bytes
        self._writer = writer
        self._mapped = mapped
        # Whoever interrupts its holder in the same thread enters, and finds it busy.
        self._lock = threading.RLock()
        self._is_closed = False
        self._numbers: dict[tuple[str, str], int] = {}
        self._number = 0
        self._segment: Segment | None = None
        #: The segment's bytes and words, where it is mapped.
        self._memory: Any = None
        self._words: Any = None
        self._seed = 0
        self._size = 0
        #: The last place at which a point still fits.
        self._last = 0
        #: Where the next record goes; ``_BUSY`` while one is written, and then ``_end`` says it
        #: (but for a point, whose append knows it).
        self._offset = self._end = 0
        folder.mkdir(exist_ok=True)
        self._roll(0)
        self._offset = self._end

    @property
    def tail(self) -> int:
        """Position after the last record; asked amidst an append, that of an earlier one."""
        with self._lock:
            offset = self._offset
            return position_of(self._number, FIRST if offset == _BUSY else offset)

    def append(self, fact: Fact, *, interrupts: bool = False) -> None:
        """Append a fact.

        Args:
            fact: What to append.
            interrupts: Whether it comes from the other stream, which was busy.

        Raises:
            InvalidInputError: It holds what no fact can, such as a number in the place of a
                text; nothing was appended.
            StorageFullError: A new segment was needed, and there is no room for it on the disk
                or in the stream's quota; nothing was appended.
        """
        payload = _FACT_BYTE + _encoded(fact)
        with self._lock:
            if self._offset == _BUSY:
                if self.aside is None or interrupts:
                    msg = (
                        "Two appends were interrupted, one inside the other, and nothing can be "
                        "logged here. Let the handler set a flag, and log when it has returned."
                    )
                    raise ConflictError(msg)
                self.aside.append(fact, interrupts=True)
                return
            self._end, self._offset = self._offset, _BUSY
            try:
                self._put(payload)
            finally:
                self._offset = self._end

    def append_point(self, series: Series, step: int, timestamp_ms: int, value: float) -> None:
        """Append one point of a metric: 40 bytes.

        Raises:
            StorageFullError: A new segment was needed and there is no room for it.
            struct.error: The step or timestamp has more than 64 bits; nothing was appended.
        """
        # The hottest lines of the package: `crc_seed` and `put` are written out. `crc32`
        # masks its seed itself.
        with self._lock:
            while series.segment is not self._segment or (offset := self._offset) > self._last:
                if self._has_appended(series, step, timestamp_ms, value):
                    return
            self._offset = _BUSY
            try:
                payload = _pack_point(POINT_KIND, series.number, step, timestamp_ms, value)
                crc = crc32(payload, self._seed + offset)
                _put_point(self._memory, offset + 4, crc, payload)
            except BaseException:
                self._offset = offset
                raise
            self._words[offset >> 2] = 32
            self._offset = offset + 40

    def _has_appended(self, series: Series, step: int, timestamp_ms: int, value: float) -> bool:
        """Append a point that cannot go the short way; or make the way free, and answer False."""
        if self._offset == _BUSY:
            self.append(_one_point(series, step, timestamp_ms, value))
            return True
        self._end, self._offset = self._offset, _BUSY
        try:
            self._define(series)
            if self._memory is not None:
                return False
            self._put(_pack_point(POINT_KIND, series.number, step, timestamp_ms, value))
        finally:
            self._offset = self._end
        return True

    def _define(self, series: Series) -> None:
        name = (series.run_id, series.key)
        text = _encoder.encode(name)
        if self._end + 8 + padded(8 + len(text)) + 40 > self._size:
            self._roll(0)
        number = self._numbers.get(name)
        if number is None:
            number = len(self._numbers)
            self._put(DEFINITION.pack(DEFINITION_KIND, number) + text)
            self._numbers[name] = number
        series.number, series.segment = number, self._segment

    def _put(self, payload: bytes) -> None:
        room = 8 + padded(len(payload))
        if self._end + room > self._size:
            self._roll(room)
        offset = self._end
        crc = crc32(payload, (self._seed + offset) & 0xFFFFFFFF)
        assert self._segment is not None  # noqa: S101 - `_roll` made one
        try:
            self._segment.put(offset, payload, crc)
        except BaseException:
            self._end = self._after(offset, room)
            raise
        self._end = offset + room

    def _after(self, offset: int, room: int) -> int:
        """Tell where to go on after an append that raised: past its record, if that is whole."""
        is_whole = self._segment is not None and self._segment.length_at(offset) > 0
        return offset + room if is_whole else offset

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
        path = segment_path(self.folder, number)
        path.unlink(missing_ok=True)  # Empty: made by a roll that was interrupted just here.
        segment = create_segment(path, number, self._writer, size, mapped=self._mapped)
        seed = crc_seed(number, 0)
        # In a file that is not mapped no point goes the short way.
        last = size - POINT_RECORD.size if segment.memory is not None else -1
        before = self._segment
        self._end, self._number, self._numbers = FIRST, number, {}
        self._segment, self._size, self._last = segment, size, last
        self._memory, self._words, self._seed = segment.memory, segment.words, seed
        if before is not None:
            before.close()

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
            self._segment = self._memory = self._words = None
        self._size = self._last = 0
        self._is_closed = True


def _encoded(fact: Fact) -> bytes:
    try:
        text = _encoder.encode(fact)
        if type(fact) is not MetricPoints:  # Packed by us, and may be large.
            # What is written can be read: a record that cannot would be found by nobody.
            fact_decoder.decode(text)
    except (TypeError, msgspec.ValidationError) as error:
        msg = f"{type(fact).__name__} cannot be recorded: {error}. Nothing was logged."
        raise InvalidInputError(msg) from None
    return text


def _one_point(series: Series, step: int, timestamp_ms: int, value: float) -> MetricPoints:
    return MetricPoints(
        run_id=series.run_id,
        key=series.key,
        steps=_one_whole(step),
        timestamps_ms=_one_whole(timestamp_ms),
        values=_one_number(value),
    )
