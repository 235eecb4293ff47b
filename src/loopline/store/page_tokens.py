"""Tokens of pages: where the last thing of a page stands in the order, opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from loopline.errors import InvalidInputError

__all__ = ["decode_place", "encode_place"]


def encode_place(place: tuple[Any, ...]) -> str:
    """Make the token of a place: numbers and texts."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def decode_place(token: str, count: int) -> tuple[Any, ...]:
    """Read a token back.

    Raises:
        InvalidInputError: It is none, or has not so many values.
    """
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        values = msgspec.msgpack.decode(data, type=list[int | float | str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        msg = "Invalid page token. Ask for the first page again."
        raise InvalidInputError(msg) from error
    if len(values) != count:
        msg = "The page token belongs to another order. Ask for the first page again."
        raise InvalidInputError(msg)
    return tuple(values)
