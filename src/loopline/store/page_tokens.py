"""Tokens of pages: where the last thing of a page stands in the order, opaque to clients.

A token is signed with a key of the store, which all its servers share: what comes back is what one
of them gave out, and no place that somebody made up reaches a statement.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from loopline.errors import InvalidInputError
from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["decode_place", "encode_place", "key_of", "stamp_of"]

#: Bytes of a signature: a guess comes off once in 2^128.
MAC_BYTES = 16
STAMP_BYTES = 16
#: The key of a store's tokens. Primary key look-up, once for each time a store is opened.
KEY = select(schema.store_key.c.value).where(schema.store_key.c.name == schema.PAGES)


def key_of(store: Store, connection: Connection | None = None) -> bytes:
    """Get the key that signs the tokens of a store; read once, then remembered.

    Args:
        store: Where the search looks.
        connection: The transaction of the search, if it has one.
    """
    if not store.page_key:
        if connection is None:
            with store.read(settles=False) as own:
                return key_of(store, own)
        store.page_key = bytes(connection.execute(KEY).scalar_one())
    return store.page_key


def stamp_of(*asked: object) -> bytes:
    """Stamp what a search asks for; another search cannot go on from its pages."""
    return hashlib.sha256(msgspec.msgpack.encode(asked)).digest()[:STAMP_BYTES]


def encode_place(key: bytes, stamp: bytes, place: tuple[Any, ...]) -> str:
    """Make the token of a place, numbers and texts, in the search of a stamp."""
    said = stamp + msgspec.msgpack.encode(place)
    return base64.urlsafe_b64encode(_mac(key, said) + said).decode().rstrip("=")


def decode_place(key: bytes, token: str, stamp: bytes, count: int) -> tuple[Any, ...]:
    """Read a token back.

    Raises:
        InvalidInputError: It is none of this store's, was changed, or is of another search.
    """
    data = _plain(token)
    said = data[MAC_BYTES:]
    if not hmac.compare_digest(_mac(key, said), data[:MAC_BYTES]):
        msg = (
            "Invalid page token: it was changed or cut, or another store gave it out. Search "
            "again from the first page."
        )
        raise InvalidInputError(msg)
    # From here on it is what a server of this store wrote.
    place = msgspec.msgpack.decode(said[STAMP_BYTES:], type=tuple[int | float | str, ...])
    if said[:STAMP_BYTES] != stamp or len(place) != count:
        msg = (
            "The page token belongs to another search: its filter or order was another one. "
            "Search again from the first page."
        )
        raise InvalidInputError(msg)
    return place


def _plain(token: str) -> bytes:
    """Decode base64; empty where it is none, or not written as we write it."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return b""
    # Letters that say nothing, and last bits that are not looked at, would pass for unchanged.
    return data if base64.urlsafe_b64encode(data).decode().rstrip("=") == token else b""


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256")[:MAC_BYTES]
