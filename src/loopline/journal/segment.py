"""Segments being written: mapped into memory where the file system honours that, else written.

Both promise the same: what ``put`` returned for survives the death of this process.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from typing import TYPE_CHECKING, Protocol

from loopline.disk import NO_ROOM, needing_room
from loopline.errors import StorageFullError
from loopline.journal.format import segment_header

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FULL",
    "MappedSegment",
    "Segment",
    "WrittenSegment",
    "can_map",
    "create_segment",
    "file_system",
]

FULL = (
    "No room for the journal: the disk of the Loopline home is full. Free some space; what was "
    "logged before is safe."
)
#: File systems on which a shared mapping is known to behave; elsewhere bytes are written.
MAPPABLE = {"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "f2fs", "zfs"}


class Segment(Protocol):
    """A segment open for appending.

    Attributes:
        size: Bytes there is room for.
        memory: Its bytes, when it is mapped.
        words: The same, as numbers of 32 bits.
    """

    size: int
    memory: mmap.mmap | None
    words: memoryview | None

    def put(self, offset: int, payload: bytes, crc: int) -> None:
        """Write the record at an offset; its length word last."""
        ...

    def length_at(self, offset: int) -> int:
        """Read the length word at an offset; 0 where no record is whole, or the file is closed."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class MappedSegment:
    """A preallocated file in memory: a record costs a copy, not a system call."""

    def __init__(self, handle: int, size: int) -> None:
        self.size = size
        self.memory: mmap.mmap | None = mmap.mmap(handle, size)
        self.words: memoryview | None = memoryview(self.memory).cast("I")
        os.close(handle)

    def put(self, offset: int, payload: bytes, crc: int) -> None:
        """Write the record at an offset; its length word last."""
        memory = self.memory
        assert memory is not None  # noqa: S101 - until it is closed
        start = offset + 8
        memory[start : start + len(payload)] = payload
        memory[offset + 4 : start] = crc.to_bytes(4, "little")
        memory[offset : offset + 4] = len(payload).to_bytes(4, "little")

    def length_at(self, offset: int) -> int:
        """Read the length word at an offset; 0 where no record is whole."""
        memory = self.memory
        return 0 if memory is None else int.from_bytes(memory[offset : offset + 4], "little")

    def close(self) -> None:
        """Unmap the file."""
        if self.memory is not None and self.words is not None:
            self.words.release()
            self.memory.close()
            self.memory = self.words = None


class WrittenSegment:
    """A file appended with ``pwrite``: the same promise, a system call or two a record."""

    def __init__(self, handle: int, size: int) -> None:
        self.size = size
        self.memory: mmap.mmap | None = None
        self.words: memoryview | None = None
        self._handle = handle

    def put(self, offset: int, payload: bytes, crc: int) -> None:
        """Write the record at an offset; its length word last."""
        try:
            self._write(crc.to_bytes(4, "little") + payload, offset + 4)
            self._write(len(payload).to_bytes(4, "little"), offset)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise StorageFullError(FULL) from error

    def _write(self, data: bytes, offset: int) -> None:
        if os.pwrite(self._handle, data, offset) < len(data):  # A full disk takes what it can.
            raise OSError(errno.ENOSPC, "The disk is full.")

    def length_at(self, offset: int) -> int:
        """Read the length word at an offset; 0 where no record is whole."""
        return int.from_bytes(os.pread(self._handle, 4, offset), "little")

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def create_segment(path: Path, number: int, writer: str, size: int, *, mapped: bool) -> Segment:
    """Make a segment's file with all the room it will need.

    Raises:
        StorageFullError: There is no room; a mapped page without a block would be a SIGBUS later.
    """
    with needing_room(FULL):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if mapped:
                os.posix_fallocate(handle, 0, size)
            os.pwrite(handle, segment_header(number, writer), 0)
            return MappedSegment(handle, size) if mapped else WrittenSegment(handle, size)
        except OSError:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise


def can_map(folder: Path) -> bool:
    """Whether segments in this folder may be mapped into memory, whose words are little-endian."""
    return sys.byteorder == "little" and file_system(folder) in MAPPABLE


def file_system(folder: Path) -> str:
    """Tell the kind of file system a folder is on, such as ``"ext4"``; empty when not known."""
    if sys.platform != "linux":
        return ""
    best = ""
    kind = ""
    where = str(folder.resolve())
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:  # noqa: PTH123
            for line in mounts:
                left, _, right = line.partition(" - ")
                point = left.split()[4].replace("\\040", " ")
                is_above = where == point or where.startswith(point.rstrip("/") + "/")
                if is_above and len(point) >= len(best):
                    best, kind = point, right.split()[0]
    except OSError:
        return ""
    return kind
