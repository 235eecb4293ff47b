"""What a journal looks like on disk.

A journal is a folder, named by the id of its one writer, with a ``lock`` that the writer holds
(``flock``) while it lives, ``meta.json``, and a folder of segments for each of its streams,
``facts`` and ``logs``. A segment is a preallocated file::

    0   "LLJ1"            magic and format
    4   u32               number of the segment, counted from 1
    8   16 bytes          id of the writer
    24  u64               zero
    32  records           each at a multiple of 8

    record:  u32 length of the payload    written last: a torn record has length 0
             u32 CRC-32 of the payload    seeded with segment and offset, so that no stale or
                                          misplaced bytes can pass for a record
             payload, then zeros up to the next multiple of 8

The first byte of a payload is its kind: a metric point (fixed 32 bytes), the definition of the
number that stands for a (run, metric) in this segment, or any other fact as msgpack. Numbers
are defined anew in each segment, so each can be read by itself. A *position* in a stream is
``segment << 32 | offset`` and only grows.
"""

from __future__ import annotations

import struct
from zlib import crc32

from loopline.errors import IntegrityError

__all__ = [
    "DEFINITION",
    "FACT",
    "FIRST",
    "HEAD",
    "POINT",
    "POINT_RECORD",
    "RECORDS",
    "crc_seed",
    "parse_header",
    "position_of",
    "segment_header",
    "segment_of",
]

MAGIC = b"LLJ1"
#: What records may hold; one more with every kind of fact that older versions do not know.
RECORDS = 1
HEADER = struct.Struct("<4sI16sQ")
#: Where a segment's first record lies.
FIRST = HEADER.size
#: Length and CRC before each payload.
HEAD = struct.Struct("<II")

FACT = 1
POINT_KIND = 2
DEFINITION_KIND = 3
#: kind, number of the (run, metric), step, timestamp in ms, value.
POINT = struct.Struct("<BxxxIqqd")
#: The record of a point, head and payload.
POINT_RECORD = struct.Struct("<IIBxxxIqqd")
#: kind, number; then the (run id, key) as msgpack.
DEFINITION = struct.Struct("<BxxxI")


def segment_header(number: int, writer: str) -> bytes:
    """Make a segment's first bytes."""
    return HEADER.pack(MAGIC, number, bytes.fromhex(writer), 0)


def parse_header(data: bytes) -> tuple[int, str]:
    """Read a segment's number and writer.

    Raises:
        IntegrityError: The file is no segment of a journal.
    """
    if len(data) < HEADER.size or data[:4] != MAGIC:
        msg = "The file is not a segment of a journal (its first bytes are wrong)."
        raise IntegrityError(msg)
    _, number, writer, _ = HEADER.unpack_from(data)
    return number, writer.hex()


def crc_seed(segment: int, offset: int) -> int:
    """Start value of the CRC of the record at an offset of a segment."""
    return (segment * 0x9E3779B1 + offset) & 0xFFFFFFFF


def checksum(payload: bytes | memoryview, segment: int, offset: int) -> int:
    """CRC-32 of a payload as the record at this place has it."""
    return crc32(payload, crc_seed(segment, offset))


def padded(length: int) -> int:
    """Round a payload's length up so that the next record begins at a multiple of 8."""
    return (length + 7) & ~7


def position_of(segment: int, offset: int) -> int:
    """Number a place in a stream."""
    return segment << 32 | offset


def segment_of(position: int) -> tuple[int, int]:
    """Turn a position back into segment and offset."""
    return position >> 32, position & 0xFFFFFFFF
