"""Reading request bodies: bounded in size, and not waited for forever."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from loopline.errors import InvalidInputError
from loopline.server import wire
from loopline.server.errors import PayloadTooLargeError, UnsupportedMediaTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope

__all__ = ["chunks_of", "content_type_of", "read_body", "read_small"]

#: Seconds without a byte after which a half-sent body is given up.
SILENCE_S = 30.0

#: Bytes a second that a body must come at on average, once it was waited for that long: one that
#: drips would hold its connection for days.
LEAST_BYTES_S = 256


class _TooSlowError(InvalidInputError):
    """The rest of the body did not come."""

    status = 408


def content_type_of(request: Request) -> str:
    """Tell whether the body is JSON or msgpack.

    Raises:
        UnsupportedMediaTypeError: When it says neither. This also keeps HTML forms of other
            sites out: a browser cannot send these types across sites without asking first.
    """
    kind = wire.media_type(request.headers.get("content-type", ""))
    if kind not in {wire.JSON, wire.MSGPACK}:
        msg = (
            f"The body has the content type {kind[:100] or '(none)'!r}. "
            f"Send {wire.JSON} or {wire.MSGPACK}."
        )
        raise UnsupportedMediaTypeError(msg)
    return kind


async def chunks_of(request: Request, *, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body in parts.

    Raises:
        PayloadTooLargeError: When it says or turns out to be longer than ``most_bytes``.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most_bytes:
        raise _too_large(most_bytes)
    size = 0
    stream = request.stream()
    began = time.monotonic()
    while True:
        left = SILENCE_S + size / LEAST_BYTES_S - (time.monotonic() - began)
        try:
            async with asyncio.timeout(min(SILENCE_S, left)):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _too_slow() from None
        except ClientDisconnect:
            msg = "The connection ended before the body did. Send the request again."
            raise InvalidInputError(msg) from None
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes)
        if chunk:
            yield chunk


async def read_body(request: Request, *, most_bytes: int) -> bytes:
    """Read a whole body of at most ``most_bytes``."""
    return b"".join([chunk async for chunk in chunks_of(request, most_bytes=most_bytes)])


async def read_small(scope: Scope, receive: Receive, *, most_bytes: int) -> bytes:
    """Read a whole body that has mostly come already: then no clock is set for it."""
    first = receive()
    try:
        first.send(None)  # type: ignore[attr-defined]
    except StopIteration as done:
        message: Message = done.value
    else:  # It waits. Nothing is taken yet: ask again, with patience that ends.
        first.close()  # type: ignore[attr-defined]
        return await read_body(Request(scope, receive), most_bytes=most_bytes)
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        return body

    async def again() -> Message:
        nonlocal message
        given, message = message, {}
        return given or await receive()

    return await read_body(Request(scope, again), most_bytes=most_bytes)


def _too_slow() -> _TooSlowError:
    return _TooSlowError(
        f"The body came too slowly: nothing for {SILENCE_S:g} seconds, or fewer than "
        f"{LEAST_BYTES_S} bytes a second. Send the request again."
    )


def _too_large(most_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The body is longer than the {most_bytes:,} bytes taken here. Send it in parts, "
        "and files to /api/v1/blobs."
    )
