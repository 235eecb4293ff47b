"""What a backend can do: one protocol, two implementations (local and HTTP), one test suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from loopline.records.facts import Batch, Receipt
    from loopline.records.operations import Operation
    from loopline.settings import Address

__all__ = ["Backend"]

R = TypeVar("R")


class Backend(Protocol):
    """Facts in, answers out, bytes both ways. Safe to use from several threads."""

    @property
    def address(self) -> Address:
        """Where it records to."""
        ...

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask a query or give a command.

        Args:
            operation: The request.
            key: Idempotency key of a command; the same key is carried out once and answered
                alike ever after (for a day). Without one, each call is a new command.

        Raises:
            LooplineError: As the operation says; ``BackendUnavailableError`` when the store
                cannot be reached, in which case the command may or may not have happened.
        """
        ...

    def send(self, batch: Batch) -> Receipt:
        """Ingest journaled facts; on return everything up to ``acknowledged`` is durable."""
        ...

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Ingest facts as ``send`` does, once the bytes that they name are durable.

        Args:
            batch: The facts.
            files: By SHA-256, what the store may not have yet.

        Raises:
            DamagedFilesError: Some files do not have their hash; no fact was taken.
        """
        ...

    def put_blob(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes; return their SHA-256 in hex and their size, once durable."""
        ...

    def blob_size(self, sha256: str, *, keep: bool = False) -> int:
        """Tell a blob's length in bytes, without reading it.

        Args:
            sha256: Which.
            keep: It is about to be named: from now on it is as safe as one that was just put.

        Raises:
            NotFoundError: No such blob.
        """
        ...

    def read_blob(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob; the last chunk is followed by a check of the hash.

        Args:
            sha256: Which.
            start: First byte; who goes on at one that is not 0 checks the whole itself.
            end: The byte after the last; None: to the end.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: The bytes do not have this hash.
        """
        ...

    def fetch_blobs(self, targets: Mapping[str, Path], *, keep: Path | None = None) -> None:
        """Write blobs to files, each whole and checked, or not there; as few requests as can be.

        Args:
            targets: Where each goes, by SHA-256; those before one that fails stay.
            keep: Folder on the same disk for what has come of a long one when it breaks off.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: The bytes do not have this hash.
        """
        ...

    def open_blob(self, sha256: str) -> BinaryIO:
        """Open a blob, checked, for reading from a local file."""
        ...

    def answers(self, timeout_s: float) -> bool:
        """Whether the store is there, however long it takes over what it was asked."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
