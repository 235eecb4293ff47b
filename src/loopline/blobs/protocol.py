"""What a place of blobs can do: one protocol, kept by folders and by buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO, TypeAlias

    #: Locks the store against new facts, and tells which of some blobs it names.
    StillNeeded: TypeAlias = Callable[[Sequence[str]], AbstractContextManager[set[str]]]

__all__ = ["Blobs", "Kept"]


class Kept(NamedTuple):
    """A blob as a listing has it.

    Attributes:
        digest: SHA-256 in hex.
        size_bytes: Its length.
        changed_s: When it was last put or asked for, by the clock of its place.
    """

    digest: str
    size_bytes: int
    changed_s: float


class Blobs(Protocol):
    """Immutable bytes, found by their SHA-256. Safe to use from several threads."""

    @property
    def where(self) -> str:
        """The folder, or the address of the bucket."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder; None for a bucket."""
        ...

    def put(self, chunks: Iterable[bytes], *, expected: str = "") -> tuple[str, int]:
        """Keep a stream of bytes; return their hash and size once they are durable.

        Raises:
            IntegrityError: They do not have the hash expected; nothing is kept.
            StorageFullError: There is no room; nothing is kept.
        """
        ...

    def put_file(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes; return their hash and size once they are durable."""
        ...

    def take(self, file: Path, digest: str) -> None:
        """Keep a file that the caller hashed and synced; it is gone then."""
        ...

    def size(self, digest: str, *, keep: bool = False) -> int:
        """Tell a blob's size in bytes.

        Args:
            digest: Which.
            keep: From now on it is as safe from ``loopline gc`` as one that was just put.

        Raises:
            NotFoundError: No such blob.
        """
        ...

    def read(self, digest: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob and check its hash at the end, or a part of it.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written.
        """
        ...

    def open(self, digest: str) -> BinaryIO:
        """Open a blob, checked, as a file on this machine.

        Raises:
            NotFoundError: No such blob.
            IntegrityError: A bit has flipped since it was written.
        """
        ...

    def listed(self) -> Iterator[Kept]:
        """List every blob."""
        ...

    def now_s(self) -> float:
        """Ask the clock that stamps the blobs; Unix time in seconds."""
        ...

    def renew(self, digests: Iterable[str]) -> None:
        """Count blobs as put now, those that are there."""
        ...

    def remove(
        self, digests: Sequence[str], before: float, still_needed: StillNeeded
    ) -> Iterator[tuple[str, int]]:
        """Remove blobs, but for those that somebody has put, asked for or named since.

        Args:
            digests: Which.
            before: Those put or asked for later stay; by the clock of this place.
            still_needed: Is asked while nothing can be named that was not before.

        Returns:
            Digest and size in bytes of each that was removed.
        """
        ...

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:
        """Keep a collection from starting, or with ``alone`` everybody else.

        Raises:
            ConflictError: A backup or a collection is under way.
        """
        ...

    def sweep(self) -> None:
        """Tidy up what was interrupted long ago."""
        ...

    def check(self) -> list[str]:
        """Try the place out; say in a sentence each what it does not do.

        Raises:
            BackendUnavailableError: It cannot be reached, or written to.
        """
        ...

    def note_store(self, where: str) -> None:
        """Note that a store keeps blobs here: a database file, or a URL without a password."""
        ...

    def noted_stores(self) -> list[str]:
        """List the stores that left a note."""
        ...

    def forget_store(self, where: str) -> bool:
        """Take a note back; tell whether there was one."""
        ...
