"""Blobs to and from a server: what is long goes on where it broke off."""

from __future__ import annotations

import hashlib
import http.client
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from loopline.backend.http_errors import error_from_answer, no_server_of_ours
from loopline.errors import BackendUnavailableError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from loopline.backend.connections import Answer, Body, Connections
    from loopline.settings import Address

__all__ = ["HttpBlobs"]

MSGPACK = "application/msgpack"
#: Bytes asked of a connection at a time.
CHUNK_BYTES = 1 << 20
#: Files from this size on are sent so that they can go on where they broke off.
RESUMABLE_BYTES = 16 << 20
#: Pauses before a transfer goes on; counted anew whenever something came through.
PAUSES_S = (0.0, 0.3, 1.0, 3.0)
#: Seconds to wait for somebody else who sends the same bytes: a server takes half a minute to
#: notice that a client's machine has gone.
BUSY_S, BUSY_PAUSE_S = 45.0, 0.2
_OFFSET, _BUSY = "Upload-Offset", "Upload-Busy"


class _Kept(msgspec.Struct):
    """What the server answers to an uploaded file."""

    sha256: str
    size_bytes: int


_KEPT = msgspec.msgpack.Decoder(_Kept)


class HttpBlobs:
    """The blobs of a server.

    Args:
        connections: To the server.
        address: Of the server, for messages.
    """

    def __init__(self, connections: Connections, address: Address) -> None:
        self._connections = connections
        self._address = address

    def put(self, source: Path) -> tuple[str, int]:
        """Send a file, unless the server has its bytes already; see ``Backend.put_blob``."""
        with Path(source).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            known = self._connections.exchange("HEAD", _blob_path(sha256))
            if known.status == http.client.OK:
                return sha256, size
            answer = None
            if size >= RESUMABLE_BYTES:
                answer = self._put_resumable(file, sha256, size)
            if answer is None:
                answer = self._connections.exchange(
                    "PUT", "/api/v1/blobs", _from(file, 0), _headers(size, sha256)
                )
        if answer.status != http.client.CREATED:
            raise error_from_answer(answer.status, answer.body, self._address)
        try:
            kept = _KEPT.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise no_server_of_ours(answer.status, self._address) from None
        return kept.sha256, kept.size_bytes

    def _put_resumable(self, file: BinaryIO, sha256: str, size: int) -> Answer | None:
        """Send what the server has not; None when it keeps no unfinished uploads of these bytes.

        Raises:
            BackendUnavailableError: It broke off again and again without getting any further.
        """
        path = f"/api/v1/uploads/{sha256}"
        reached, failures = -1, 0
        busy_until = time.monotonic() + BUSY_S
        while True:
            asked = self._connections.exchange("HEAD", path)
            at = asked.headers.get(_OFFSET, "")
            if asked.status != http.client.OK or not at.isdecimal():
                return None
            offset = int(at)
            answer = None
            is_busy = _BUSY in asked.headers
            if not is_busy:
                headers = {**_headers(size - offset, sha256), _OFFSET: at}
                answer = self._connections.attempt("PUT", path, _from(file, offset), headers)
                is_busy = answer is not None and answer.status == http.client.CONFLICT
            if is_busy:
                if time.monotonic() > busy_until:
                    return None
                time.sleep(BUSY_PAUSE_S)
                continue
            if answer is not None:
                return answer
            failures = 0 if offset > reached else failures + 1
            reached = max(reached, offset)
            if failures >= len(PAUSES_S):
                msg = (
                    f"The upload to {self._address} broke off {failures} times at byte "
                    f"{offset:,}. Try again: what has arrived is kept for an hour."
                )
                raise BackendUnavailableError(msg)
            time.sleep(PAUSES_S[failures])

    def size(self, sha256: str) -> int:
        """Ask how long a blob is; see ``Backend.blob_size``."""
        answer = self._connections.exchange("HEAD", _blob_path(sha256))
        if answer.status == http.client.OK:
            return int(answer.headers["Content-Length"])
        # An answer to HEAD has no words in it; a GET of nothing has.
        answer = self._connections.exchange(
            "GET", _blob_path(sha256), headers={"Range": "bytes=0-0"}
        )
        raise error_from_answer(answer.status, answer.body, self._address)

    def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob, going on where it broke off; see ``Backend.read_blob``."""
        if start == 0 and end is None:
            return self._read_whole(sha256)
        return self._read_on(sha256, start, end)

    def _read_whole(self, sha256: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in self._read_on(sha256, 0, None):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != sha256:
            msg = (
                f"The blob {sha256} came with other bytes than it was stored with. Download it "
                f"again; if that fails too, its copy at {self._address} is damaged."
            )
            raise IntegrityError(msg)

    def _read_on(self, sha256: str, start: int, end: int | None) -> Iterator[bytes]:
        at, failures = start, 0
        while end is None or at < end:
            reached = at
            try:
                for chunk in self._stream(sha256, at, end):
                    at += len(chunk)
                    yield chunk
            except _BrokenOffError as error:
                failures = 0 if at > reached else failures + 1
                if failures >= len(PAUSES_S):
                    msg = (
                        f"The download from {self._address} broke off at byte {at:,} "
                        f"({error.__cause__!r}). Try again; if it breaks off at the same place, "
                        "the server's log says why."
                    )
                    raise BackendUnavailableError(msg) from None
                time.sleep(PAUSES_S[failures])
            else:
                return

    def _stream(self, sha256: str, start: int, end: int | None) -> Iterator[bytes]:
        """Ask once, from a byte on."""
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with self._connections.stream(_blob_path(sha256), headers) as answer:
            is_beyond = answer.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE
            if is_beyond and answer.headers.get("Content-Range") == f"bytes */{start}":
                answer.read()
                return  # There is nothing behind the last byte.
            if answer.status != (http.client.PARTIAL_CONTENT if headers else http.client.OK):
                raise error_from_answer(answer.status, answer.read(), self._address)
            while True:
                try:
                    chunk = answer.read(CHUNK_BYTES)
                    if not chunk and answer.length:  # http.client says nothing of an early end.
                        raise http.client.IncompleteRead(b"", answer.length)
                except (OSError, http.client.HTTPException) as error:
                    raise _BrokenOffError from error
                if not chunk:
                    return
                yield chunk


class _BrokenOffError(Exception):
    """A download ended early; its cause says how."""


def _from(file: BinaryIO, offset: int) -> Body:
    def body() -> BinaryIO:
        file.seek(offset)  # Each attempt sends it from there.
        return file

    return body


def _headers(length: int, sha256: str) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(length),
        "X-Content-SHA256": sha256,
        "Accept": MSGPACK,
    }


def _blob_path(sha256: str) -> str:
    return f"/api/v1/blobs/{quote(sha256, safe='')}"
