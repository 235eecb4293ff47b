"""The native API: one route per operation, and the road of journaled facts.

``POST /api/v1/ops/<operation>`` takes the operation's fields as one JSON or msgpack object and
answers what the operation answers, in the form that ``Accept`` names. ``Idempotency-Key`` makes
a command safe to send again. ``POST /api/v1/facts`` takes a batch and answers a receipt.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from loopline.errors import InvalidInputError
from loopline.records.facts import Batch
from loopline.records.operations import OPERATIONS
from loopline.server import wire
from loopline.server.bodies import content_type_of, read_body
from loopline.server.errors import UnsupportedMediaTypeError, plain_error
from loopline.server.guarded import GuardedRoute
from loopline.server.openapi import openapi_document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.records.operations import Operation
    from loopline.server.threads import Threads

__all__ = ["MOST_BATCH_BYTES", "MOST_REQUEST_BYTES", "native_routes", "unknown_api_route"]

PREFIX = "/api/v1"
OPS = f"{PREFIX}/ops/"

MOST_REQUEST_BYTES = 16 * 2**20
MOST_BATCH_BYTES = 64 * 2**20
MOST_KEY_LENGTH = 200


def native_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Derive the routes from the table of operations."""
    document = wire.encode(openapi_document(), wire.JSON)

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type=wire.JSON)

    return [
        GuardedRoute(
            f"{PREFIX}/facts", _facts(backend, threads), methods=["POST"], permission="edit"
        ),
        *(
            GuardedRoute(
                f"{OPS}{name}",
                _operation(operation, backend, threads),
                methods=["POST"],
                permission=operation.permission,
            )
            for name, operation in OPERATIONS.items()
        ),
        GuardedRoute(f"{PREFIX}/openapi.json", openapi, permission="view"),
    ]


def _operation(
    operation: type[Operation[Any]], backend: Backend, threads: Threads
) -> Callable[[Request], Awaitable[Response]]:
    run = threads.run if operation.changes else threads.read

    async def answer(request: Request) -> Response:
        kind = content_type_of(request)
        body = await read_body(request, most_bytes=MOST_REQUEST_BYTES)
        key = _idempotency_key(request)
        accepted = wire.preferred(request.headers.get("accept", ""), otherwise=kind)

        def work() -> bytes:
            # Decoding and encoding belong to the thread too: a page of 50,000 runs takes a while.
            return wire.encode(backend.call(wire.decode(body, operation, kind), key=key), accepted)

        return Response(await run(work), media_type=accepted)

    return answer


def _facts(backend: Backend, threads: Threads) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if content_type_of(request) != wire.MSGPACK:
            # Metric columns are packed bytes and hold NaN, which JSON cannot say.
            msg = f"Facts are sent as {wire.MSGPACK} only."
            raise UnsupportedMediaTypeError(msg)
        body = await read_body(request, most_bytes=MOST_BATCH_BYTES)
        accepted = wire.preferred(request.headers.get("accept", ""), otherwise=wire.MSGPACK)

        def work() -> bytes:
            # A batch has its own bound in bytes; its facts may be as many as fit.
            batch = wire.decode(body, Batch, wire.MSGPACK, most_items=None)
            return wire.encode(backend.send(batch), accepted)

        return Response(await threads.run(work), media_type=accepted)

    return answer


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if len(key) > MOST_KEY_LENGTH or not key.isprintable():
        msg = f"The Idempotency-Key must be at most {MOST_KEY_LENGTH} printable characters."
        raise InvalidInputError(msg)
    return key


def unknown_api_route(path: str) -> Response:
    """Answer 404 for a path under ``/api/``, naming the operation that was probably meant."""
    near = get_close_matches(path.rpartition("/")[2], OPERATIONS, n=1, cutoff=0.4)
    meant = f" Did you mean POST {OPS}{near[0]}?" if near else ""
    message = f"No API route {path[:200]!r}.{meant} Every route is in {PREFIX}/openapi.json."
    return plain_error(404, "ENDPOINT_NOT_FOUND", message, error="NotFoundError")
