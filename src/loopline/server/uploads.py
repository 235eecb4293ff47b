"""Uploads: streamed to a file beside the blobs, hashed on the way, and checked before they count.

A client says what it sends with ``X-Content-SHA256`` (hex), ``Content-Digest`` (RFC 9530) or
``Content-MD5`` (RFC 1864); whatever it says must be so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from loopline.errors import InvalidInputError
from loopline.server.bodies import chunks_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["MOST_BLOB_BYTES", "promised_digests", "uploaded"]

MOST_BLOB_BYTES = 2**40

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Of RFC 9530; other algorithms in the header are passed over, as it says.
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_FIELD = re.compile(r"\s*([a-z0-9-]+)=:([A-Za-z0-9+/=]*):\s*")


def promised_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Read what a client says of its bytes.

    Returns:
        Name of an algorithm in ``hashlib`` to the digest that the bytes must have.

    Raises:
        InvalidInputError: A header cannot be read.
    """
    found: dict[str, bytes] = {}
    sha256 = headers.get("x-content-sha256", "").lower()
    if sha256:
        if not _SHA256.fullmatch(sha256):
            msg = "X-Content-SHA256 must be 64 hex digits: the SHA-256 of the body."
            raise InvalidInputError(msg)
        found["sha256"] = bytes.fromhex(sha256)
    for part in filter(str.strip, headers.get("content-digest", "").split(",")):
        field = _FIELD.fullmatch(part)
        if field is None:
            msg = "Content-Digest must look like sha-256=:<base64>:, as RFC 9530 says."
            raise InvalidInputError(msg)
        if field[1] in _ALGORITHMS:
            name = _ALGORITHMS[field[1]]
            digest = _decoded("Content-Digest", field[2], name)
            if found.setdefault(name, digest) != digest:
                msg = "X-Content-SHA256 and Content-Digest contradict each other. Send one."
                raise InvalidInputError(msg)
    if md5 := headers.get("content-md5", ""):
        found["md5"] = _decoded("Content-MD5", md5.strip(), "md5")
    return found


def _decoded(header: str, text: str, algorithm: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(digest) != size:
        msg = f"{header} must hold the {size} bytes of a digest in base64."
        raise InvalidInputError(msg)
    return digest


@asynccontextmanager
async def uploaded(request: Request, backend: Backend, threads: Threads) -> AsyncIterator[Path]:
    """Receive a body into a file, which is gone again at the end of the block.

    Raises:
        InvalidInputError: It broke off, or its bytes are not those that were promised.
        PayloadTooLargeError: It is longer than any file may be.
    """
    promised = promised_digests(request.headers)
    hashers = {name: hashlib.new(name, usedforsecurity=False) for name in promised}
    file = await threads.run(_new_file, _folder(backend))
    try:
        with file:
            async for chunk in chunks_of(request, most_bytes=MOST_BLOB_BYTES):
                await threads.run(_append, file, list(hashers.values()), chunk)
            await threads.run(file.flush)
        for name, digest in promised.items():
            if hashers[name].digest() != digest:
                msg = (
                    f"The bytes that came have the {name.upper()} {hashers[name].hexdigest()} and "
                    f"not {digest.hex()}. They were damaged on the way: send them again."
                )
                raise InvalidInputError(msg)
        yield Path(file.name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(file.name)  # noqa: PTH108 - the name is a str here


def _folder(backend: Backend) -> Path:
    """Where uploads wait until they are whole: beside the blobs, so that a full disk says so."""
    if backend.address.kind == "home":
        folder = Path(backend.address.text) / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return Path(tempfile.gettempdir())


def _new_file(folder: Path) -> BinaryIO:
    return tempfile.NamedTemporaryFile(  # type: ignore[return-value]
        dir=folder, prefix="upload-", delete=False
    )


def _append(file: BinaryIO, hashers: list[hashlib._Hash], chunk: bytes) -> None:
    for hasher in hashers:
        hasher.update(chunk)
    file.write(chunk)
