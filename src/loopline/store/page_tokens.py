"""Tokens of pages: where the last thing of a page stands in the order, opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from zlib import crc32

import msgspec

from loopline.errors import InvalidInputError

__all__ = ["decode_place", "encode_place", "stamp_of"]


def stamp_of(*asked: object) -> int:
    """Number what a search asks for; another search cannot go on from its pages."""
    return crc32(msgspec.msgpack.encode(asked))


def encode_place(stamp: int, place: tuple[Any, ...]) -> str:
    """Make the token of a place, numbers and texts, in the search of a stamp."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((stamp, *place))).decode().rstrip("=")


def decode_place(token: str, stamp: int, count: int) -> tuple[Any, ...]:
    """Read a token back.

    Raises:
        InvalidInputError: It is none, or not of this search.
    """
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        made_by, *values = msgspec.msgpack.decode(data, type=list[int | float | str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        msg = "Invalid page token. Ask for the first page again."
        raise InvalidInputError(msg) from error
    if made_by != stamp or len(values) != count:
        msg = (
            "The page token belongs to another search: its filter or order was another one. "
            "Ask for the first page again."
        )
        raise InvalidInputError(msg)
    return tuple(values)
