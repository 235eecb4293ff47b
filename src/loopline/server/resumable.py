"""Uploads that go on where they broke off, for our own client.

``HEAD /api/v1/uploads/<sha256>`` tells in ``Upload-Offset`` how many bytes of that content are
here, and with ``Upload-Busy`` that somebody is just sending more. ``PUT`` with the same
``Upload-Offset`` sends the rest. What came stays when the connection, the
client or this server dies, for an hour after its last byte; then it is swept. The content is
checked against its hash at the end, all of it, and only then it is a blob.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from io import FileIO
from typing import TYPE_CHECKING

from starlette.responses import Response

from loopline.blobs.local import chunks_of as chunks_of_file
from loopline.errors import ConflictError, InvalidInputError
from loopline.server import wire
from loopline.server.bodies import chunks_of
from loopline.server.guarded import GuardedRoute
from loopline.server.receiving import Receiver
from loopline.server.uploads import MOST_BLOB_BYTES, check_digests, keep_file, staging_of

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["BUSY", "OFFSET", "resumable_routes"]

#: Headers with the number of bytes that are here, and of an upload that is under way.
OFFSET, BUSY = "Upload-Offset", "Upload-Busy"
_HEX = frozenset("0123456789abcdef")
_SHA256_LENGTH = 64
_MOST_DIGITS = 18


def resumable_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the routes of uploads that can be interrupted."""

    async def offset(request: Request) -> Response:
        path = _path(request, backend)
        size, is_busy = await threads.run(_look, path)
        return Response(headers={OFFSET: str(size), **({BUSY: "?1"} if is_busy else {})})

    async def put(request: Request) -> Response:
        path = _path(request, backend)
        start = _start(request)
        digest = _digest_of(request)
        hasher = hashlib.sha256()
        file = await threads.run(_locked, path)
        try:
            size = await _receive(request, file, start, hasher, threads)
            try:
                check_digests({"sha256": bytes.fromhex(digest)}, {"sha256": hasher})
            except InvalidInputError:
                await threads.run(path.unlink)  # Nothing that follows could make it right.
                raise
            await threads.run(keep_file, backend, path, digest)
        finally:
            await threads.run(file.close)
        kind = wire.preferred(request.headers.get("accept", ""))
        answer = {"sha256": digest, "size_bytes": size}
        return Response(wire.encode(answer, kind), 201, media_type=kind)

    path = "/api/v1/uploads/{sha256}"
    return [
        GuardedRoute(path, offset, methods=["GET"], permission="edit"),
        GuardedRoute(path, put, methods=["PUT"], permission="edit"),
    ]


async def _receive(
    request: Request,
    file: FileIO,
    start: int,
    hasher: hashlib._Hash,
    threads: Threads,
) -> int:
    """Append the body to what is there, hashing all of it; answer the whole size in bytes."""
    there = await threads.run(_rehash, file, hasher)
    if there != start:
        msg = f"{there} bytes of this upload are here, not {start}. Go on at {there}."
        raise ConflictError(msg)
    receiver = Receiver(file, [hasher], threads)
    try:
        async for chunk in chunks_of(request, most_bytes=MOST_BLOB_BYTES - start):
            await receiver.take(chunk)
    finally:
        # Also when the client has gone: what it sent stays for when it returns.
        await receiver.finish()
    return file.tell()


def _digest_of(request: Request) -> str:
    digest: str = request.path_params["sha256"]
    if len(digest) != _SHA256_LENGTH or not _HEX.issuperset(digest):
        msg = "An upload is named by the 64 hex digits of the SHA-256 of its content."
        raise InvalidInputError(msg)
    return digest


def _path(request: Request, backend: Backend) -> Path:
    return staging_of(backend) / f"part-{_digest_of(request)}"


def _start(request: Request) -> int:
    text = request.headers.get(OFFSET, "")
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        msg = f"Say in {OFFSET} where the upload goes on: HEAD of this address tells."
        raise InvalidInputError(msg)
    return int(text)


def _look(path: Path) -> tuple[int, bool]:
    """Tell how many bytes are here, and whether somebody is just sending more."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return size, True
            return size, False
    except FileNotFoundError:
        return 0, False


def _locked(path: Path) -> FileIO:
    """Open what is there, alone.

    Raises:
        ConflictError: Somebody else has it.
    """
    while True:
        file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may just have made a blob of it: then this is a file without a name.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError:
            file.close()
            msg = "These bytes are being sent already. Wait until that is through."
            raise ConflictError(msg) from None
        except FileNotFoundError:
            pass
        file.close()


def _rehash(file: FileIO, hasher: hashlib._Hash) -> int:
    """Read what is there, and stand at its end."""
    file.seek(0)
    for chunk in chunks_of_file(file):
        hasher.update(chunk)
    return file.tell()
