"""Reading a stream back: whole records in order, up to the first that is not finished."""

from __future__ import annotations

import mmap
from array import array
from typing import TYPE_CHECKING, NamedTuple
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
    crc_seed,
    padded,
    parse_header,
    position_of,
    segment_of,
)
from loopline.journal.stream import segment_path
from loopline.records.facts import Fact, MetricPoints, fact_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Page", "Reader"]

_names = msgspec.msgpack.Decoder(tuple[str, str])
#: Metric points and bytes of other facts that one page may hold.
PAGE_POINTS = 50_000
PAGE_BYTES = 4 << 20


class Page(NamedTuple):
    """Some consecutive records: the facts in them and the position after the last one."""

    facts: list[Fact]
    end: int


class _Columns:
    """Points of one metric, gathered."""

    def __init__(self) -> None:
        self.steps = array("q")
        self.timestamps_ms = array("q")
        self.values = array("d")


class Reader:
    """Reads the segments of one stream, live or left behind.

    A record counts once its length and checksum are there, so a reader never sees half of one,
    neither beside a writer at work nor after a power cut.

    Attributes:
        is_damaged: Whether a record with a length and a wrong checksum ended the last reading.
    """

    def __init__(self, folder: Path) -> None:
        """Read the stream in this folder."""
        self._folder = folder
        self.is_damaged = False
        self._number = 0
        self._names: dict[int, tuple[str, str]] = {}
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
        facts: list[Fact] = []
        points: dict[tuple[str, str], _Columns] = {}
        count = size = 0
        end = position
        for kind, payload, after in self._records(position):
            end = after
            if kind == POINT_KIND:
                _, number, step, timestamp_ms, value = POINT.unpack(payload)
                name = self._names[number]
                columns = points.get(name)
                if columns is None:
                    columns = points[name] = _Columns()
                columns.steps.append(step)
                columns.timestamps_ms.append(timestamp_ms)
                columns.values.append(value)
                count += 1
            elif kind == FACT:
                facts.append(_decode(payload))
                size += len(payload)
            if count >= PAGE_POINTS or size >= PAGE_BYTES:
                break
        for (run_id, key), columns in points.items():
            facts.append(
                MetricPoints(
                    run_id=run_id,
                    key=key,
                    steps=columns.steps.tobytes(),
                    timestamps_ms=columns.timestamps_ms.tobytes(),
                    values=columns.values.tobytes(),
                )
            )
        return Page(facts, end)

    def _records(self, position: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield kind, payload and the position after each record, across segments."""
        number, offset = segment_of(position)
        for segment in self.segments():
            if segment < number:
                continue
            finished = True
            path = segment_path(self._folder, segment)
            if not _has_header(path):
                return
            with _mapped(path) as memory:
                if parse_header(memory[:FIRST])[0] != segment:
                    self.is_damaged = True
                    return
                if segment != self._number:
                    self._number, self._names, self._named_to = segment, {}, FIRST
                begin = max(offset, FIRST) if segment == number else FIRST
                # Definitions before the place to begin are needed to read what follows.
                at = min(self._named_to, begin)
                while at + HEAD.size <= len(memory):
                    length, crc = HEAD.unpack_from(memory, at)
                    if not length:
                        break
                    payload = memory[at + 8 : at + 8 + length]
                    if len(payload) < length or crc32(payload, crc_seed(segment, at)) != crc:
                        finished = False
                        self.is_damaged = True
                        break
                    at += 8 + padded(length)
                    kind = payload[0]
                    if kind == DEFINITION_KIND:
                        self._names[DEFINITION.unpack_from(payload)[1]] = _names.decode(
                            payload[DEFINITION.size :]
                        )
                    self._named_to = max(self._named_to, at)
                    if at > begin:
                        yield kind, payload, position_of(segment, at)
            if not finished:
                return  # What follows a broken record is not part of the prefix we promise.


def _has_header(path: Path) -> bool:
    """Whether a segment is made; one without a header is being made, or its maker died there."""
    with path.open("rb") as file:
        return any(file.read(FIRST))


def _decode(payload: bytes) -> Fact:
    try:
        fact: Fact = fact_decoder.decode(payload[1:])
    except msgspec.MsgspecError as error:
        msg = (
            f"The journal holds a record that this version cannot read ({error}). It was written "
            "by a newer Loopline: pip install --upgrade loopline, then `loopline sync`."
        )
        raise IntegrityError(msg) from error
    return fact


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
