"""Collecting garbage: blobs that nothing names any more, and files that were left half-made.

A blob may be ahead of the fact that names it, so what was put or asked for within the grace time
is never touched. What is older is looked for again under the store's write lock; how a folder and
a bucket see to it that nobody asks for it at that very moment is told in ``blobs.local_gc`` and
``blobs.bucket_gc``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.care.neighbours import Neighbours
from loopline.care.progress import silent
from loopline.care.references import read_references, still_referenced
from loopline.care.strays import Stray, find_strays, remove_strays
from loopline.errors import InvalidInputError
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.backend.local import LocalBackend
    from loopline.care.progress import Progress

__all__ = [
    "Collected",
    "Garbage",
    "collect_garbage",
    "find_garbage",
    "forget",
]


class Garbage(Record, frozen=True, kw_only=True):
    """What could be freed.

    Attributes:
        blobs: SHA-256 and size in bytes of blobs that no store names.
        strays: What was left half-made.
        needed: How many blobs are named.
        young: How many are not, but may be soon: they were put or asked for a short while ago.
        grace_s: How long a short while is.
    """

    blobs: list[tuple[str, int]]
    strays: list[Stray]
    needed: int
    young: int
    grace_s: float

    @property
    def size_bytes(self) -> int:
        """Bytes that would be freed."""
        return sum(size for _, size in self.blobs) + sum(each.size_bytes for each in self.strays)


class Collected(Record, frozen=True, kw_only=True):
    """What was freed.

    Attributes:
        kept: Blobs that somebody has begun to need since they were found.
    """

    blobs: int
    strays: int
    freed_bytes: int
    kept: int


def find_garbage(backend: LocalBackend, *, grace_s: float, also: Sequence[str] = ()) -> Garbage:
    """Find what could be freed; nothing is changed.

    Args:
        backend: The store, and its folder of blobs.
        grace_s: A blob that was put or asked for in this time is left alone.
        also: Addresses of other stores on the same folder that cannot be found by themselves.

    Raises:
        ConflictError: A store that uses the same folder cannot be asked what it needs.
    """
    place = backend.blobs
    place.sweep()
    needed = Neighbours(backend, also).references()
    with backend.store.read() as connection:
        needed |= read_references(connection).everything
    before = place.now_s() - grace_s
    blobs, young, named = [], 0, 0
    for each in place.listed():
        if bytes.fromhex(each.digest) in needed:
            named += 1
        elif each.changed_s >= before:
            young += 1
        else:
            blobs.append((each.digest, each.size_bytes))
    return Garbage(
        blobs=blobs,
        strays=list(find_strays(backend)),
        needed=named,
        young=young,
        grace_s=grace_s,
    )


def collect_garbage(
    backend: LocalBackend,
    garbage: Garbage,
    *,
    also: Sequence[str] = (),
    progress: Progress = silent,
) -> Collected:
    """Free what was found, as far as nobody needs it meanwhile.

    Raises:
        ConflictError: A backup is under way.
    """
    place = backend.blobs
    blobs = freed = 0
    with place.hold(alone=True):
        elsewhere = Neighbours(backend, also).references()
        before = place.now_s() - garbage.grace_s
        wanted = [digest for digest, _ in garbage.blobs if bytes.fromhex(digest) not in elsewhere]

        @contextmanager
        def still_needed(digests: Sequence[str]) -> Iterator[set[str]]:
            with backend.store.write() as connection:
                asked = [bytes.fromhex(each) for each in digests]
                yield {each.hex() for each in still_referenced(connection, asked)}

        for _digest, size in place.remove(wanted, before, still_needed):
            blobs += 1
            freed += size
            progress("blobs", blobs, len(wanted))
        strays = remove_strays(garbage.strays)
        freed += sum(stray.size_bytes for stray in strays)
    kept = len(garbage.blobs) - blobs
    return Collected(blobs=blobs, strays=len(strays), freed_bytes=freed, kept=kept)


def forget(backend: LocalBackend, where: str) -> None:
    """Take back the note that another store uses the same blobs.

    Raises:
        InvalidInputError: There is no such note.
    """
    if not backend.blobs.forget_store(where):
        msg = f"No store {where!r} has left a note in {backend.blobs.where}/stores."
        raise InvalidInputError(msg)
