"""Bundles: many blobs, and something after them, as one stream of bytes.

``LLB1``, the length of the head (4 bytes, little-endian), the head (msgpack: hash and size of each
part, and the length of what comes after the parts), then the bytes of each part, then the rest.
One request carries what would take one each: a model's folder is ten small files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MOST_PARTS", "MOST_PART_BYTES", "Piece", "Unbundler", "bundle_head"]

#: Parts of one bundle, and bytes of one part; a longer file travels alone.
MOST_PARTS = 1_000
MOST_PART_BYTES = 64 * 2**20
#: Bytes of the head: of a thousand parts a tenth of it.
MOST_HEAD_BYTES = 2**20

_MAGIC = b"LLB1"
_FIXED = len(_MAGIC) + 4
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Part(msgspec.Struct, array_like=True, frozen=True):
    sha256: str
    size_bytes: int


class _Head(msgspec.Struct, array_like=True, frozen=True):
    parts: list[_Part]
    rest_bytes: int


_HEAD = msgspec.msgpack.Decoder(_Head)


class Piece(NamedTuple):
    """Some bytes of a bundle, in order; a part without bytes has one piece.

    Attributes:
        part: Which part, from 0; the number of parts stands for the rest.
        data: The bytes.
        ends: Whether the part is whole with them.
    """

    part: int
    data: bytes
    ends: bool


def bundle_head(parts: Sequence[tuple[str, int]], rest_bytes: int = 0) -> bytes:
    """Write the head of a bundle.

    Args:
        parts: SHA-256 in hex and size in bytes of each part.
        rest_bytes: Length of what comes after them.
    """
    head = msgspec.msgpack.encode(_Head([_Part(*part) for part in parts], rest_bytes))
    return _MAGIC + len(head).to_bytes(4, "little") + head


class Unbundler:
    """Takes a bundle apart as its bytes come.

    Attributes:
        parts: Hash and size of each part; empty until the head is whole.
        is_whole: Whether everything that the head told of has come.
    """

    def __init__(self, *, most_rest_bytes: int = 0) -> None:
        self.parts: list[tuple[str, int]] = []
        self.is_whole = False
        self._most_rest = most_rest_bytes
        self._head = bytearray()
        self._lengths: list[int] = []
        self._at = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield what they are of.

        Raises:
            InvalidInputError: This is no bundle, or one with more than it may hold.
        """
        view = memoryview(data)
        if not self._lengths:
            view = view[self._take_head(data) :]
            if not self._lengths:
                return
        while not self.is_whole:
            take = min(self._left, len(view))
            if not take and self._left:
                return
            self._left -= take
            part, ends = self._at, not self._left
            if ends:
                self._next()
            if part < len(self.parts) or take:
                yield Piece(part, bytes(view[:take]), ends)
            view = view[take:]
        if len(view):
            msg = "More bytes came than the head of the bundle tells of. Send it again."
            raise InvalidInputError(msg)

    def _next(self) -> None:
        self._at += 1
        if self._at < len(self._lengths):
            self._left = self._lengths[self._at]
        else:
            self.is_whole = True

    def _take_head(self, data: bytes) -> int:
        """Gather the head; return how many of the bytes belong to it."""
        before = len(self._head)
        self._head += data[: _FIXED + MOST_HEAD_BYTES]
        if not self._head.startswith(_MAGIC[: len(self._head)]):
            msg = "This is no bundle of files: it does not begin like one."
            raise InvalidInputError(msg)
        if len(self._head) < _FIXED:
            return len(data)
        length = int.from_bytes(self._head[len(_MAGIC) : _FIXED], "little")
        if length > MOST_HEAD_BYTES:
            msg = f"The head of a bundle has at most {MOST_HEAD_BYTES:,} bytes, not {length:,}."
            raise InvalidInputError(msg)
        if len(self._head) < _FIXED + length:
            return len(data)
        self._read_head(bytes(self._head[_FIXED : _FIXED + length]))
        return _FIXED + length - before

    def _read_head(self, data: bytes) -> None:
        try:
            head = _HEAD.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"The head of the bundle cannot be read ({error}). Send it again."
            raise InvalidInputError(msg) from None
        if len(head.parts) > MOST_PARTS:
            msg = f"A bundle has at most {MOST_PARTS:,} parts, not {len(head.parts):,}."
            raise InvalidInputError(msg)
        for part in head.parts:
            if not _SHA256.fullmatch(part.sha256):
                msg = f"{part.sha256[:80]!r} is not a SHA-256 of 64 hex digits."
                raise InvalidInputError(msg)
            if not 0 <= part.size_bytes <= MOST_PART_BYTES:
                msg = (
                    f"A part of a bundle has at most {MOST_PART_BYTES:,} bytes, not "
                    f"{part.size_bytes:,}. Send the file to /api/v1/blobs."
                )
                raise InvalidInputError(msg)
        if not 0 <= head.rest_bytes <= self._most_rest:
            msg = (
                f"What follows the parts of this bundle has at most {self._most_rest:,} bytes, not "
                f"{head.rest_bytes:,}."
            )
            raise InvalidInputError(msg)
        self.parts = [(part.sha256, part.size_bytes) for part in head.parts]
        self._lengths = [*(size for _, size in self.parts), head.rest_bytes]
        self._left = self._lengths[0]
