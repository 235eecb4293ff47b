"""Many blobs in one request: facts with the files they name, and a model's files at once.

``POST /api/v1/facts-with-files`` takes a bundle (``loopline.rules.bundle``): each file is durable
before the batch of facts after them is taken, so that nothing is visible without its bytes; what
came whole before a connection broke is kept. ``POST /api/v1/blobs/missing`` tells which of many
blobs are not here, ``POST /api/v1/blobs/bundle`` answers many in one stream.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from starlette.responses import Response, StreamingResponse

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.facts import Batch
from loopline.rules.bundle import MOST_PART_BYTES, MOST_PARTS, Unbundler, bundle_head
from loopline.server import wire
from loopline.server.blobs import attachment, held_back
from loopline.server.bodies import chunks_of, content_type_of, read_body
from loopline.server.guarded import GuardedRoute
from loopline.server.native import MOST_BATCH_BYTES
from loopline.server.uploads import keep_file, new_upload, staging_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["MOST_BUNDLE_BYTES", "bundle_routes"]

#: Bytes of a bundle that is taken: a client sends more in several.
MOST_BUNDLE_BYTES = 512 * 2**20
#: Bytes of a list of a thousand hashes, and then some.
MOST_LIST_BYTES = 256 * 1024


class _Digests(msgspec.Struct, forbid_unknown_fields=True):
    """Blobs that a client asks about."""

    sha256: list[str]


def bundle_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the routes that take and give many blobs at once."""

    async def take(request: Request) -> Response:
        taking = _Taking(backend)
        try:
            async for chunk in chunks_of(request, most_bytes=MOST_BUNDLE_BYTES):
                await threads.run(taking.take, chunk)
            accepted = wire.preferred(request.headers.get("accept", ""), otherwise=wire.MSGPACK)
            answer = wire.encode(await threads.run(taking.finish), accepted)
        finally:
            await threads.run(taking.close)
        return Response(answer, media_type=accepted)

    async def missing(request: Request) -> Response:
        digests = await _digests(request)
        accepted = wire.preferred(request.headers.get("accept", ""))
        absent = await threads.run(lambda: [each for each in digests if not _has(backend, each)])
        return Response(wire.encode({"missing": absent}, accepted), media_type=accepted)

    async def give(request: Request) -> Response:
        digests = await _digests(request)
        sizes = await threads.run(lambda: [backend.blob_size(each) for each in digests])
        # A longer one is not among the answer's parts: it is fetched by itself.
        parts = [part for part in zip(digests, sizes, strict=True) if part[1] <= MOST_PART_BYTES]
        head = bundle_head(parts)
        headers = {
            **attachment("blobs"),
            "Cache-Control": "no-store",
            "Content-Length": str(len(head) + sum(size for _, size in parts)),
        }
        chunks = threads.stream(_bundle(head, [digest for digest, _ in parts], backend))
        return StreamingResponse(chunks, 200, headers, "application/octet-stream")

    return [
        GuardedRoute("/api/v1/facts-with-files", take, methods=["POST"], permission="edit"),
        GuardedRoute("/api/v1/blobs/missing", missing, methods=["POST"], permission="edit"),
        GuardedRoute("/api/v1/blobs/bundle", give, methods=["POST"], permission="view"),
    ]


async def _digests(request: Request) -> list[str]:
    kind = content_type_of(request)
    asked = wire.decode(await read_body(request, most_bytes=MOST_LIST_BYTES), _Digests, kind)
    if len(asked.sha256) > MOST_PARTS:
        msg = f"At most {MOST_PARTS:,} blobs are asked for at once, not {len(asked.sha256):,}."
        raise InvalidInputError(msg)
    return asked.sha256


def _has(backend: Backend, digest: str) -> bool:
    """Whether a blob is here; from now on it is as safe from gc as one that was just sent."""
    try:
        backend.blob_size(digest, keep=True)
    except NotFoundError:
        return False
    return True


def _bundle(head: bytes, digests: list[str], backend: Backend) -> Generator[bytes, None, None]:
    yield head
    for digest in digests:
        yield from held_back(backend.read_blob(digest))


class _Taking:
    """Takes a bundle apart: each file into the blob store as soon as it is whole."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._bundle = Unbundler(most_rest_bytes=MOST_BATCH_BYTES)
        self._rest = bytearray()
        self._file: BinaryIO | None = None
        self._hasher: Any = None

    def take(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            InvalidInputError: They are no bundle, or a file is not the one that was promised.
        """
        for piece in self._bundle.feed(chunk):
            if piece.part == len(self._bundle.parts):
                self._rest += piece.data
                continue
            if self._file is None:
                self._file = new_upload(staging_of(self._backend))
                self._hasher = sha256()
            left = memoryview(piece.data)
            while left:  # It has no buffer, and may take less than all.
                left = left[self._file.write(left) :]
            self._hasher.update(piece.data)
            if piece.ends:
                self._keep(self._bundle.parts[piece.part][0])

    def _keep(self, promised: str) -> None:
        file, came = self._file, self._hasher.hexdigest()
        if file is None:
            return
        if came != promised:
            msg = (
                f"The bytes that came have the SHA-256 {came} and not {promised}. They were "
                "damaged on the way: send them again."
            )
            raise InvalidInputError(msg)
        file.close()
        self._file = None
        try:
            keep_file(self._backend, Path(file.name), came)
        finally:
            Path(file.name).unlink(missing_ok=True)

    def finish(self) -> object:
        """Take the facts after the files; their answer is the bundle's.

        Raises:
            InvalidInputError: The bundle ended early, or what follows its files are no facts.
        """
        if not self._bundle.is_whole:
            msg = "The bundle ended before all of it had come. Send it again."
            raise InvalidInputError(msg)
        batch = wire.decode(bytes(self._rest), Batch, wire.MSGPACK, most_items=None)
        return self._backend.send(batch)

    def close(self) -> None:
        """Remove the file in hand, if there is one."""
        if self._file is not None:
            self._file.close()
            os.unlink(self._file.name)  # noqa: PTH108 - the name is a str here
            self._file = None
