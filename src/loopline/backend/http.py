"""The HTTP backend: facts, questions and bytes go to a Loopline server."""

from __future__ import annotations

import http.client
import tempfile
import uuid
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import msgspec

from loopline.backend.bundles import (
    BundleBody,
    ask_missing,
    damaged_of,
    fetch_bundles,
    portions,
    sizes_of,
)
from loopline.backend.connections import Connections
from loopline.backend.http_blobs import HttpBlobs
from loopline.backend.http_errors import error_from_answer, no_server_of_ours
from loopline.errors import InvalidInputError, LooplineError
from loopline.journal.drain import DamagedFilesError
from loopline.records.facts import Batch, Receipt
from loopline.records.operations import OPERATIONS, answer_type
from loopline.rules.bundle import MOST_PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from loopline.backend.connections import Readable
    from loopline.records.operations import Operation
    from loopline.settings import Address

__all__ = ["HttpBackend"]

R = TypeVar("R")
T = TypeVar("T")

MSGPACK = "application/msgpack"

_NAMES = {operation: name for name, operation in OPERATIONS.items()}
_DECODERS: dict[type, msgspec.msgpack.Decoder[Any]] = {}
_RECEIPT = msgspec.msgpack.Decoder(Receipt)


class HttpBackend:
    """A backend that talks to ``loopline server``.

    Each thread has one connection, kept open. A request that broke off is sent again, which is
    safe: queries change nothing, commands carry an idempotency key, batches say their place in
    the journal, and a blob is named by its content.

    Args:
        address: Of kind ``"http"``.
        timeout_s: Seconds to wait for an answer: longer than the 30 for which a server waits
            for a locked database.
    """

    def __init__(self, address: Address, *, timeout_s: float = 60.0) -> None:
        self._address = address
        self._connections = Connections(address, timeout_s=timeout_s)
        self._blobs = HttpBlobs(self._connections, address)

    @property
    def address(self) -> Address:
        """The server's URL."""
        return self._address

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask the server, or give it a command; see ``Backend.call``."""
        kind = type(operation)
        headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        if kind.changes:
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        decoder = _DECODERS.get(kind)
        if decoder is None:
            decoder = _DECODERS[kind] = msgspec.msgpack.Decoder(answer_type(kind))
        path = f"/api/v1/ops/{_NAMES[kind]}"
        answer: R = self._ask("POST", path, _encode(operation), headers, decoder)
        return answer

    def send(self, batch: Batch) -> Receipt:
        """Send journaled facts; see ``Backend.send``."""
        headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        return self._ask("POST", "/api/v1/facts", _encode(batch), headers, _RECEIPT)

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Send facts together with the files that the server lacks; see ``Backend.deliver``."""
        damaged = damaged_of(files)
        if damaged:
            raise DamagedFilesError(damaged)
        if not files:
            return self.send(batch)
        sizes = sizes_of(files)
        absent = {
            digest: sizes[digest] for digest in ask_missing(self._connections, self._address, sizes)
        }
        for digest in [digest for digest, size in absent.items() if size > MOST_PART_BYTES]:
            self.put_blob(files[digest])
            del absent[digest]
        # A batch of nothing changes nothing: it goes with all portions but the last.
        nothing = msgspec.structs.replace(batch, start=0, end=0, facts=[])
        *before, last = list(portions(absent)) or [[]]
        for portion in before:
            self._bundle(nothing, [(each, sizes[each], files[each]) for each in portion])
        return self._bundle(batch, [(each, sizes[each], files[each]) for each in last])

    def _bundle(self, batch: Batch, files: list[tuple[str, int, Path]]) -> Receipt:
        if not files:
            return self.send(batch)
        rest = _encode(batch)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(BundleBody(files, rest).length),
            "Accept": MSGPACK,
        }

        def body() -> BundleBody:  # Each attempt sends it from the start.
            return BundleBody(files, rest)

        return self._ask("POST", "/api/v1/facts-with-files", body, headers, _RECEIPT)

    def put_blob(self, source: Path) -> tuple[str, int]:
        """Send a file, unless the server has its bytes already; see ``Backend.put_blob``."""
        return self._blobs.put(source)

    def blob_size(self, sha256: str, *, keep: bool = False) -> int:  # noqa: ARG002 - a server keeps
        """Ask how long a blob is; see ``Backend.blob_size``."""
        return self._blobs.size(sha256)

    def read_blob(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob, checked at its end; see ``Backend.read_blob``."""
        return self._blobs.read(sha256, start=start, end=end)

    def fetch_blobs(self, targets: Mapping[str, Path], *, keep: Path | None = None) -> None:
        """Download blobs, the small ones together; see ``Backend.fetch_blobs``."""
        from loopline.backend.downloads import download_blob

        for digest in fetch_bundles(self._connections, self._address, targets):
            targets[digest].parent.mkdir(parents=True, exist_ok=True)
            download_blob(self, digest, targets[digest], keep=keep)

    def open_blob(self, sha256: str) -> BinaryIO:
        """Download a blob into an unnamed temporary file; see ``Backend.open_blob``."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            file.writelines(self.read_blob(sha256))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def answers(self, timeout_s: float) -> bool:
        """Whether the server says within ``timeout_s`` seconds that it is there."""
        connections = Connections(self._address, timeout_s=timeout_s)
        try:
            return connections.exchange("GET", "/health").status == http.client.OK
        except LooplineError:
            return False
        finally:
            connections.close()

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: Callable[[], Readable] | bytes,
        headers: dict[str, str],
        decoder: msgspec.msgpack.Decoder[T],
    ) -> T:
        answer = self._connections.exchange(method, path, body, headers)
        if answer.status != http.client.OK:
            raise error_from_answer(answer.status, answer.body, self._address)
        try:
            return decoder.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise no_server_of_ours(answer.status, self._address) from None


def _encode(value: Operation[Any] | Batch) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (TypeError, OverflowError, RecursionError) as error:
        msg = (
            f"{type(value).__name__} holds what cannot be sent ({error}). Send numbers below "
            "2^64, text, lists and mappings."
        )
        raise InvalidInputError(msg) from None
