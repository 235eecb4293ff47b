"""Reading a stream back: whole records in order, up to the first that is not finished."""

from __future__ import annotations

import mmap
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import msgspec

from loopline.errors import IntegrityError
from loopline.journal.format import (
    DEFINITION,
    DEFINITION_KIND,
    FACT,
    FIRST,
    HEAD,
    POINT,
    POINT_KIND,
    POINT_RECORD,
    crc_seed,
    padded,
    parse_header,
    position_of,
    segment_of,
)
from loopline.journal.stream import segment_path
from loopline.records.facts import MetricPoints, Unreadable, fact_decoder

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.facts import Fact

__all__ = ["Page", "Reader"]

_names = msgspec.msgpack.Decoder(tuple[str, str])
#: Metric points and bytes of other facts that one page may hold.
PAGE_POINTS = 50_000
PAGE_BYTES = 4 << 20


class Page(NamedTuple):
    """Some consecutive records: the facts in them and the position after the last one."""

    facts: list[Fact]
    end: int


class _Gathered:
    """What a page has so far: facts in order, and the points of each metric in columns."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.points: dict[tuple[str, str], tuple[array[int], array[int], array[float]]] = {}
        self.count = 0
        self.size = 0

    @property
    def is_full(self) -> bool:
        return self.count >= PAGE_POINTS or self.size >= PAGE_BYTES

    def columns_of(self, name: tuple[str, str]) -> tuple[array[int], array[int], array[float]]:
        """Get the columns of a metric of a run."""
        if name not in self.points:
            self.points[name] = (array("q"), array("q"), array("d"))
        return self.points[name]

    def page(self, end: int) -> Page:
        """Make the page: facts, then a fact for each metric."""
        for (run_id, key), (steps, timestamps_ms, values) in self.points.items():
            self.facts.append(
                MetricPoints(
                    run_id=run_id,
                    key=key,
                    steps=steps.tobytes(),
                    timestamps_ms=timestamps_ms.tobytes(),
                    values=values.tobytes(),
                )
            )
        return Page(self.facts, end)


class Reader:
    """Reads the segments of one stream, live or left behind.

    A record counts once its length and checksum are there, so a reader never sees half of one,
    neither beside a writer at work nor after a power cut.

    Attributes:
        is_damaged: Whether a record with a length and a wrong checksum ended the last reading.
    """

    def __init__(self, folder: Path, *, is_newer: bool = False) -> None:
        """Read the stream in this folder, perhaps written by a newer Loopline."""
        self._folder = folder
        self._is_newer = is_newer
        self.is_damaged = False
        self._number = 0
        #: A name that is none has no points: they are passed over.
        self._names: dict[int, tuple[str, str] | None] = {}
        self._named_to = 0

    def segments(self) -> list[int]:
        """List the numbers of the segments that are there, oldest first."""
        return sorted(int(path.stem) for path in self._folder.glob("*.seg"))

    def read(self, position: int) -> Page:
        """Read the records after a position, as many as make one batch.

        Args:
            position: Where to begin; 0 for the first record there is.
        """
        self.is_damaged = False
        gathered = _Gathered()
        number, offset = segment_of(position)
        end = position
        for segment in self.segments():
            if segment < number:
                continue
            path = segment_path(self._folder, segment)
            if not _has_header(path):
                break
            with _mapped(path) as memory:
                if parse_header(memory[:FIRST])[0] != segment:
                    self.is_damaged = True
                    break
                if segment != self._number:
                    self._number, self._names, self._named_to = segment, {}, FIRST
                begin = max(offset, FIRST) if segment == number else FIRST
                at = self._read_segment(memory, begin, gathered)
            if at > begin:
                end = position_of(segment, at)
            # What follows a broken record is not part of the prefix we promise.
            if self.is_damaged or gathered.is_full:
                break
        return gathered.page(end)

    def _read_segment(self, memory: mmap.mmap, begin: int, gathered: _Gathered) -> int:
        """Read a segment from a place on; return the place after the last record taken."""
        # Definitions before the place to begin are needed to read what follows.
        at = min(self._named_to, begin)
        while at + HEAD.size <= len(memory) and not gathered.is_full:
            length, crc = HEAD.unpack_from(memory, at)
            if not length:
                break
            if length == POINT.size and memory[at + 8] == POINT_KIND and at >= begin:
                after = self._read_points(memory, at, gathered)
                if after == at:
                    self.is_damaged = True
                    break
                at = after
            else:
                payload = memory[at + 8 : at + 8 + length]
                if len(payload) < length or crc32(payload, crc_seed(self._number, at)) != crc:
                    self.is_damaged = True
                    break
                if payload[0] == DEFINITION_KIND:
                    number = DEFINITION.unpack_from(payload)[1]
                    try:
                        self._names[number] = _names.decode(payload[DEFINITION.size :])
                    except msgspec.MsgspecError as error:
                        self._names[number] = None
                        if at >= begin:
                            gathered.facts.append(self._unreadable(payload, error))
                elif payload[0] == FACT and at >= begin:
                    try:
                        gathered.facts.append(fact_decoder.decode(payload[1:]))
                    except msgspec.MsgspecError as error:
                        gathered.facts.append(self._unreadable(payload, error))
                    gathered.size += len(payload)
                at += 8 + padded(length)
            self._named_to = max(self._named_to, at)
        return at

    def _unreadable(self, payload: bytes, error: Exception) -> Unreadable:
        """Make what takes the place of a whole record that is no fact.

        Raises:
            IntegrityError: A newer Loopline wrote it, which will read it.
        """
        if self._is_newer:
            msg = (
                f"The journal holds a record that this version cannot read ({error}). It was "
                "written by a newer Loopline: pip install --upgrade loopline, then `loopline sync`."
            )
            raise IntegrityError(msg) from error
        return Unreadable(data=payload, reason=f"The record is no fact: {error}.")

    def _read_points(self, memory: mmap.mmap, at: int, gathered: _Gathered) -> int:
        """Read points that follow one another; return the place after the last whole one.

        Nearly all records are points, so this loop decides what a point costs.
        """
        most = min((len(memory) - at) // POINT_RECORD.size, PAGE_POINTS - gathered.count)
        records = memory[at : at + most * POINT_RECORD.size]
        seed, taken = crc_seed(self._number, at), 0
        appends: dict[int, tuple[Any, Any, Any]] = {}
        for length, crc, kind, number, step, timestamp_ms, value in POINT_RECORD.iter_unpack(
            records
        ):
            if length != POINT.size or kind != POINT_KIND:
                break
            if crc32(records[taken + 8 : taken + 40], (seed + taken) & 0xFFFFFFFF) != crc:
                break
            if number not in appends:
                name = self._names[number]
                steps, times, values = _nowhere() if name is None else gathered.columns_of(name)
                appends[number] = steps.append, times.append, values.append
            add_step, add_time, add_value = appends[number]
            add_step(step)
            add_time(timestamp_ms)
            add_value(value)
            taken += POINT_RECORD.size
        gathered.count += taken // POINT_RECORD.size
        return at + taken


def _has_header(path: Path) -> bool:
    """Whether a segment is made; one without a header is being made, or its maker died there."""
    with path.open("rb") as file:
        return any(file.read(FIRST))


def _nowhere() -> tuple[array[int], array[int], array[float]]:
    """Make columns that nobody reads."""
    return array("q"), array("q"), array("d")


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
