"""Uploads: streamed to a file beside the blobs, hashed on the way, and checked before they count.

A file that is whole and right becomes the blob itself: its bytes are written once.

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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.server.bodies import chunks_of
from loopline.server.receiving import Receiver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = [
    "MOST_BLOB_BYTES",
    "check_digests",
    "keep_file",
    "new_hashers",
    "new_upload",
    "promised_digests",
    "receive_blob",
    "staging_of",
]

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


async def receive_blob(request: Request, backend: Backend, threads: Threads) -> tuple[str, int]:
    """Keep a body as a blob; answer its SHA-256 and its size in bytes once it is durable.

    Raises:
        InvalidInputError: It broke off, or its bytes are not those that were promised.
        PayloadTooLargeError: It is longer than any file may be.
        StorageFullError: There is no room; nothing is kept.
    """
    promised = promised_digests(request.headers)
    hashers = new_hashers(promised)
    file = await threads.run(new_upload, staging_of(backend))
    receiver = Receiver(file, hashers.values(), threads)
    try:
        try:
            async for chunk in chunks_of(request, most_bytes=MOST_BLOB_BYTES):
                await receiver.take(chunk)
            await receiver.finish()
        finally:
            with suppress(OSError):  # It was raised already, or nobody waits for it.
                await receiver.settle()
            size = file.tell()
            file.close()
        check_digests(promised, hashers)
        sha256 = hashers["sha256"].hexdigest()
        await threads.run(keep_file, backend, Path(file.name), sha256)
        return sha256, size
    finally:
        with suppress(FileNotFoundError):
            os.unlink(file.name)  # noqa: PTH108 - the name is a str here


def new_hashers(promised: Mapping[str, bytes]) -> dict[str, hashlib._Hash]:
    """Make what hashes an upload: for its name, and for what was promised of it."""
    names = {"sha256", *promised}
    return {name: hashlib.new(name, usedforsecurity=False) for name in names}


def check_digests(promised: Mapping[str, bytes], hashers: Mapping[str, hashlib._Hash]) -> None:
    """Hold what came against what was promised.

    Raises:
        InvalidInputError: It is something else.
    """
    for name, digest in promised.items():
        if hashers[name].digest() != digest:
            msg = (
                f"The bytes that came have the {name.upper()} {hashers[name].hexdigest()} and "
                f"not {digest.hex()}. They were damaged on the way: send them again."
            )
            raise InvalidInputError(msg)


def keep_file(backend: Backend, file: Path, sha256: str) -> None:
    """Make a blob of a received file, which is gone then."""
    if isinstance(backend, LocalBackend):
        backend.take_blob(file, sha256)
    else:
        backend.put_blob(file)
        file.unlink()


def staging_of(backend: Backend) -> Path:
    """Where uploads wait until they are whole: beside the blobs, so that a full disk says so."""
    if isinstance(backend, LocalBackend):
        backend.staging.mkdir(parents=True, exist_ok=True)
        return backend.staging
    return Path(tempfile.gettempdir())


def new_upload(folder: Path) -> BinaryIO:
    """Make a file for what is received; who makes it removes it, the sweep does after a crash."""
    return tempfile.NamedTemporaryFile(  # type: ignore[return-value]
        dir=folder, prefix="upload-", delete=False, buffering=0
    )
