"""Collecting garbage in a bucket, where nothing can be moved aside and nothing be locked.

For each folder of blobs a collection writes an object below ``gc/`` that names what it is about
to delete, *then* looks once more at the times and marks of these blobs, deletes those that are
still old and unneeded, and takes the object back. Whoever puts or asks for a blob first writes it
or its mark, *then* looks below ``gc/``. So either the collection sees the mark and spares the
blob, or the other sees its name: who asked is told that it is not there, and who put it waits and
puts it again. Stores of objects show at once what was written, which this needs.
"""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from loopline.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.blobs.objects import Objects
    from loopline.blobs.protocol import StillNeeded

__all__ = ["STAGING", "doomed_in", "held", "new_name", "now_of", "remove_unneeded", "sweep"]

GC, HOLDS, STAGING, NOW = "gc", "holds", "staging", "tmp"
#: Seconds in which a collection must be through with a folder; then it gives up, long before
#: anybody sweeps what it said.
LEASE_S = 300.0
#: Seconds between two signs of life of who holds the blobs, and after how many he is dead.
BEAT_S, DEAD_S = 60.0, 600.0
#: Seconds after which something interrupted is swept; uploads may take their time.
STRAY_S, UPLOAD_S, MARK_S = 3600.0, 86_400.0, 30 * 86_400.0
_ALONE = f"{HOLDS}/gc"


def new_name(what: str) -> str:
    """Make a key that nobody else uses."""
    return f"{NOW}/{what}-{uuid.uuid4().hex}"


def now_of(objects: Objects) -> float:
    """Ask the store's clock; Unix time in seconds."""
    name = new_name("now")
    objects.put(name, b"")
    found = objects.find(name)
    objects.delete([name])
    return time.time() if found is None else found.changed_s


def doomed_in(objects: Objects) -> set[str]:
    """Read what collections are about to delete: mostly one listing of nothing."""
    doomed: set[str] = set()
    for each in objects.list(GC):
        chunks = objects.read(each.key)
        if chunks is not None:
            doomed.update(msgspec.json.decode(b"".join(chunks), type=list[str]))
    return doomed


def remove_unneeded(
    objects: Objects, digests: Sequence[str], before: float, still_needed: StillNeeded
) -> Iterator[tuple[str, int]]:
    """Remove blobs that are still old and nobody's; see ``Blobs.remove``.

    Raises:
        ConflictError: The store answers so slowly that it would not be safe.
    """
    for folder, names in groupby(sorted(digests), key=lambda digest: digest[:2]):
        wanted = list(names)
        said, began = f"{GC}/{uuid.uuid4().hex}", time.monotonic()
        objects.put(said, msgspec.json.encode(wanted))
        try:
            marks = {each.key.rpartition("/")[2]: each for each in objects.list(f"asked/{folder}")}
            there = {each.key.rpartition("/")[2]: each for each in objects.list(folder)}
            old = [
                digest
                for digest in wanted
                if digest in there
                and there[digest].changed_s < before
                and (digest not in marks or marks[digest].changed_s < before)
            ]
            with still_needed(old) as needed:
                doomed = [digest for digest in old if digest not in needed]
                if time.monotonic() - began > LEASE_S:
                    msg = f"{objects.where} answers too slowly to delete anything. Try later."
                    raise ConflictError(msg)
                objects.delete([there[digest].key for digest in doomed])
            objects.delete([marks[digest].key for digest in doomed if digest in marks])
        finally:
            objects.delete([said])
        for digest in doomed:
            yield digest, there[digest].size_bytes


@contextmanager
def held(objects: Objects, *, alone: bool) -> Iterator[None]:
    """Keep collections out, or with ``alone`` everybody else, and go on saying so.

    Raises:
        ConflictError: A backup or a collection is under way.
    """
    own = _ALONE if alone else f"{HOLDS}/backup-{uuid.uuid4().hex}"
    if not objects.create(own, b"") and not _take_over(objects, own):
        raise _busy(objects, "A backup or another gc is")
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(objects, own, over), daemon=True)
    try:
        now = now_of(objects)
        for each in objects.list(HOLDS):
            if each.key != own and each.changed_s > now - DEAD_S and (alone or each.key == _ALONE):
                raise _busy(objects, "A backup is" if alone else "`loopline gc` is")
        beat.start()
        yield
    finally:
        over.set()
        if beat.ident is not None:
            beat.join()
        objects.delete([own])


def _take_over(objects: Objects, own: str) -> bool:
    """Take the place of a collection that gave no sign of life for long; tell whether it did."""
    found = objects.find(own)
    if found is not None and found.changed_s > now_of(objects) - DEAD_S:
        return False
    objects.delete([own])
    return objects.create(own, b"")


def _beat(objects: Objects, own: str, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        objects.put(own, b"")


def _busy(objects: Objects, who: str) -> ConflictError:
    return ConflictError(f"{who} at work on {objects.where}. Try again when it is through.")


def sweep(objects: Objects, now_s: float, *, marks: str) -> None:
    """Delete what was interrupted long ago, and marks that say nothing any more."""
    for prefix, most_s in (
        (GC, STRAY_S),
        (HOLDS, STRAY_S),
        (NOW, STRAY_S),
        (STAGING, UPLOAD_S),
        (marks, MARK_S),
    ):
        old = [each.key for each in objects.list(prefix) if each.changed_s < now_s - most_s]
        if old:
            objects.delete(old)
