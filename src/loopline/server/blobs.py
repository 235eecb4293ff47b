"""Blobs over HTTP: streamed in, hashed on the way; streamed out, in ranges, never as a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from loopline.errors import NotFoundError
from loopline.server import wire
from loopline.server.guarded import GuardedRoute
from loopline.server.ranges import names_tag, parse_range
from loopline.server.uploads import receive_blob

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["attachment", "blob_routes", "held_back", "send_blob"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def blob_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the routes that take and give blobs."""

    async def put(request: Request) -> Response:
        sha256, size = await receive_blob(request, backend, threads)
        kind = wire.preferred(request.headers.get("accept", ""))
        return Response(
            wire.encode({"sha256": sha256, "size_bytes": size}, kind), 201, media_type=kind
        )

    async def get(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        return await send_blob(request, sha256, backend, threads, name=sha256)

    return [
        GuardedRoute("/api/v1/blobs", put, methods=["PUT"], permission="edit"),
        GuardedRoute("/api/v1/blobs/{sha256}", get, methods=["GET"], permission="view"),
    ]


async def send_blob(
    request: Request,
    sha256: str,
    backend: Backend,
    threads: Threads,
    *,
    name: str,
    media_type: str = "application/octet-stream",
) -> Response:
    """Answer a blob, or the range of it that was asked for, as a file to save.

    The whole file is checked against its hash while it streams: when a bit has flipped, the
    answer ends short of its length, which every client reports.

    Raises:
        NotFoundError: No such blob.
    """
    if not _SHA256.fullmatch(sha256):
        msg = f"No blob {sha256[:80]!r}: a blob's name is the 64 hex digits of its SHA-256."
        raise NotFoundError(msg)
    # Who asks with HEAD whether it is here does not send it, if so, and names it.
    size = await threads.run(backend.blob_size, sha256, keep=request.method == "HEAD")
    headers = {**attachment(name), "ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
    if names_tag(request.headers.get("if-none-match", ""), sha256):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "")
    # Who goes on with what he has of another file gets this one whole; a date tells nothing here.
    has_other = request.headers.get("if-range", f'"{sha256}"') != f'"{sha256}"'
    if has_other or request.method == "HEAD":  # A range is for GET alone.
        wanted = ""
    try:
        part = parse_range(wanted, size)
    except ValueError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, end = part or (0, size)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if part is None:
        chunks = held_back(await threads.run(backend.read_blob, sha256))
    else:
        chunks = held_back(await threads.run(backend.read_blob, sha256, start=start, end=end))
    return StreamingResponse(threads.stream(chunks), status, headers, media_type)


def attachment(name: str) -> dict[str, str]:
    """Headers that make a browser save a file and never show it in this site's name."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        # Content-addressed: the bytes under this name never change.
        "Cache-Control": "private, max-age=31536000, immutable",
    }


def held_back(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Hold each chunk back until the next one came: the last follows the check of the hash."""
    held = b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
    if held:
        yield held
