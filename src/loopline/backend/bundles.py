"""Many files over HTTP in few requests: with the facts that name them, and back."""

from __future__ import annotations

import http.client
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from loopline.backend.http_errors import error_from_answer, no_server_of_ours
from loopline.blobs.digest import hash_file
from loopline.errors import BackendUnavailableError, IntegrityError, InvalidInputError
from loopline.rules.bundle import MOST_PARTS, Unbundler, bundle_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loopline.backend.connections import Answer, Connections
    from loopline.settings import Address

__all__ = ["BundleBody", "ask_missing", "damaged_of", "fetch_bundles", "portions", "sizes_of"]

#: How often a download that breaks off without one more whole blob is tried.
TRIES = 2

MSGPACK = "application/msgpack"
CHUNK_BYTES = 256 * 1024
#: Bytes of one bundle, well below what a server takes.
BUNDLE_BYTES = 256 * 2**20
#: Fewer bytes than this are sent without asking whether they are there.
ASK_FROM_BYTES = 256 * 1024


class _Missing(msgspec.Struct):
    missing: list[str]


_MISSING = msgspec.msgpack.Decoder(_Missing)


def damaged_of(files: Mapping[str, Path]) -> set[str]:
    """Tell which files do not have the SHA-256 they are given under."""
    return {digest for digest, path in files.items() if hash_file(path) != digest}


def sizes_of(files: Mapping[str, Path]) -> dict[str, int]:
    """Tell the length of each file in bytes."""
    return {digest: path.stat().st_size for digest, path in files.items()}


def ask_missing(connections: Connections, address: Address, sizes: Mapping[str, int]) -> list[str]:
    """Tell which blobs a server lacks; of few bytes nobody asks, they are sent.

    Args:
        connections: To the server.
        address: Of the server, for errors.
        sizes: Length in bytes by SHA-256.
    """
    digests = list(sizes)
    if sum(sizes.values()) < ASK_FROM_BYTES:
        return digests
    absent: list[str] = []
    for start in range(0, len(digests), MOST_PARTS):
        body = msgspec.msgpack.encode({"sha256": digests[start : start + MOST_PARTS]})
        headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        answer = connections.exchange("POST", "/api/v1/blobs/missing", body, headers)
        absent += _decoded(answer, _MISSING, address).missing
    return absent


def portions(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Divide blobs, by SHA-256 and length in bytes, into what one bundle holds."""
    portion: list[str] = []
    room = BUNDLE_BYTES
    for digest, size in sizes.items():
        if portion and (size > room or len(portion) == MOST_PARTS):
            yield portion
            portion, room = [], BUNDLE_BYTES
        portion.append(digest)
        room -= size
    if portion:
        yield portion


class BundleBody:
    """The body of a request: files one after the other, then the rest; read in parts."""

    def __init__(self, files: Sequence[tuple[str, int, Path]], rest: bytes) -> None:
        """Send files (SHA-256, size in bytes, path) and then bytes."""
        head = bundle_head([(digest, size) for digest, size, _ in files], len(rest))
        self.length = len(head) + sum(size for _, size, _ in files) + len(rest)
        self._parts = self._read([path for _, _, path in files], head, rest)

    def read(self, _size: int = -1) -> bytes:
        """Give the next bytes; empty at the end."""
        return next(self._parts, b"")

    @staticmethod
    def _read(paths: list[Path], head: bytes, rest: bytes) -> Iterator[bytes]:
        yield head
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        if rest:
            yield rest


def fetch_bundles(
    connections: Connections, address: Address, targets: Mapping[str, Path]
) -> list[str]:
    """Fetch blobs into files, each checked by its hash; what came whole before an error stays.

    Args:
        connections: To the server.
        address: Of the server, for errors.
        targets: Where each goes, by SHA-256.

    Returns:
        Those that are too long for a bundle.

    Raises:
        NotFoundError: The server lacks one.
        IntegrityError: One came with other bytes.
        BackendUnavailableError: The download broke off again and again.
    """
    digests = list(targets)
    large: list[str] = []
    for start in range(0, len(digests), MOST_PARTS):
        left = digests[start : start + MOST_PARTS]
        tries = TRIES
        while left:
            writing = _Writing(targets, address)
            tries -= 1
            try:
                _fetch_bundle(connections, address, left, writing)
            except BackendUnavailableError:
                if tries <= 0 and not writing.whole:
                    raise
                left = [each for each in left if each not in writing.whole]
            else:
                large += [each for each in left if each not in writing.whole]
                break
    return large


def _fetch_bundle(
    connections: Connections, address: Address, digests: list[str], writing: _Writing
) -> None:
    body = msgspec.msgpack.encode({"sha256": digests})
    headers = {"Content-Type": MSGPACK}
    with connections.stream("/api/v1/blobs/bundle", body=body, headers=headers) as answer:
        if answer.status != http.client.OK:
            raise error_from_answer(answer.status, answer.read(), address)
        bundle = Unbundler()
        try:
            while not bundle.is_whole:
                chunk = _read(answer, address)
                if not chunk:
                    raise _broken_off(address, "it ended early")
                for piece in bundle.feed(chunk):
                    writing.take(bundle.parts[piece.part][0], piece.data, ends=piece.ends)
            _read(answer, address)  # To the end of the answer, so that the connection is kept.
        except InvalidInputError:
            raise no_server_of_ours(answer.status, address) from None
        finally:
            writing.close()


class _Writing:
    """Writes blobs beside their places and moves each there when it is whole."""

    def __init__(self, targets: Mapping[str, Path], address: Address) -> None:
        self.whole: set[str] = set()
        self._targets = targets
        self._address = address
        self._file: BinaryIO | None = None
        self._part = Path()
        self._hasher: Any = None

    def take(self, digest: str, data: bytes, *, ends: bool) -> None:
        if self._file is None:
            target = self._targets[digest]
            target.parent.mkdir(parents=True, exist_ok=True)
            self._part = target.with_name(f"{target.name}.part")
            self._file = self._part.open("wb")
            self._hasher = sha256()
        self._file.write(data)
        self._hasher.update(data)
        if not ends:
            return
        if self._hasher.hexdigest() != digest:
            msg = (
                f"The blob {digest} came with other bytes than it was stored with. Fetch it again; "
                f"if that fails too, its copy at {self._address} is damaged."
            )
            raise IntegrityError(msg)
        self._file.close()
        self._file = None
        self._part.replace(self._targets[digest])
        self.whole.add(digest)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink()


def _read(answer: http.client.HTTPResponse, address: Address) -> bytes:
    try:
        return answer.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(address, repr(error)) from None


def _broken_off(address: Address, how: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"The download from {address} broke off ({how}). Try again; if it breaks off at the same "
        "place, the server's log says why."
    )


def _decoded(answer: Answer, decoder: msgspec.msgpack.Decoder[Any], address: Address) -> Any:  # noqa: ANN401
    if answer.status != http.client.OK:
        raise error_from_answer(answer.status, answer.body, address)
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise no_server_of_ours(answer.status, address) from None
