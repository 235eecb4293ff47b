"""Looking at the blobs: are those there that the store names, and are they what they were?"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.blobs.objects import is_bucket_url
from loopline.blobs.open import open_blobs
from loopline.care.doctor.findings import fine, note, problem, warning
from loopline.care.doctor.home import examine_room
from loopline.care.references import read_references
from loopline.errors import IntegrityError, LooplineError, NotFoundError
from loopline.rules.words import count_words, size_words
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from loopline.blobs.protocol import Blobs
    from loopline.care.doctor.findings import Finding
    from loopline.care.progress import Progress

__all__ = ["examine_blobs"]

#: Blobs read without ``--all``: so many, and so many bytes at most.
SAMPLE, SAMPLE_BYTES = 200, 256_000_000
#: Blobs that are named one by one.
NAMED = 5


def examine_blobs(
    connection: Connection, where: str, *, thorough: bool, progress: Progress
) -> Iterator[Finding]:
    """Look for blobs that are named and gone, and read a sample, or all, against their hash.

    Args:
        connection: To the store that names them.
        where: Folder or bucket that keeps them.
        thorough: Read all.
        progress: Told how far it is.
    """
    try:
        place = open_blobs(where)
        if is_bucket_url(where):
            yield _bucket(place)
        kept = {each.digest: each.size_bytes for each in place.listed()}
    except LooplineError as error:
        yield problem(
            "blobs.reachable",
            f"The files in {where} cannot be reached: {error}",
            "Nothing can be uploaded or downloaded; what is logged waits in the journals.",
            "See the message; LOOPLINE_BLOBS says where they are.",
        )
        return
    named = sorted(each.hex() for each in read_references(connection).named)
    there = {digest: kept[digest] for digest in named if digest in kept}
    missing = [digest for digest in named if digest not in kept]
    if missing:
        yield problem(
            "blobs.missing",
            f"{count_words(len(missing), 'file')} of {len(named):,} that the store names are "
            f"gone: {_whose(connection, missing)}.",
            "They cannot be downloaded, and models made of them cannot be loaded.",
            "`loopline sync` where they were logged may still have them; else restore from a "
            "backup.",
        )
    elif named:
        yield fine("blobs.missing", f"All {count_words(len(named), 'file')} are there.")
    yield from _read(connection, place, there, thorough=thorough, progress=progress)
    root = place.folder
    if root is None:
        return
    if root.is_dir() and root.resolve().stat().st_dev != root.parent.stat().st_dev:
        yield examine_room("blobs.room", root)
    if (root / "tmp").is_dir() and any((root / "tmp").glob("gc-*")):
        yield note(
            "blobs.interrupted",
            "A gc was interrupted while it moved files away.",
            "They may be needed.",
            "`loopline gc --dry-run` moves them back.",
        )


def _bucket(place: Blobs) -> Finding:
    faults = place.check()
    if faults:
        return warning(
            "blobs.bucket",
            faults[0],
            "Two programs at once could undo each other's work.",
            "Move the files to a store that heeds conditions.",
        )
    return fine("blobs.bucket", f"Files are kept in {place.where}, which heeds conditions.")


def _read(
    connection: Connection,
    place: Blobs,
    there: dict[str, int],
    *,
    thorough: bool,
    progress: Progress,
) -> Iterator[Finding]:
    chosen = list(there) if thorough else _sample(there)
    total, done = sum(there[digest] for digest in chosen), 0

    def hear(size: int) -> None:
        nonlocal done
        done += size
        progress("files", done, total)

    damaged = []
    for digest in chosen:
        try:
            for chunk in place.read(digest):
                hear(len(chunk))
        except (OSError, IntegrityError, NotFoundError):
            damaged.append(digest)
    if damaged:
        yield problem(
            "blobs.damaged",
            f"{count_words(len(damaged), 'file')} of {len(chosen):,} that were read are damaged: "
            f"{_whose(connection, damaged)}.",
            "A bit has flipped on the disk; whoever downloads them gets an error instead.",
            "Restore them from a backup, or log the same files again; and check the disk "
            "(smartctl).",
        )
    elif chosen:
        how = "All of them" if thorough else f"A sample of {len(chosen):,}"
        rest = "" if thorough or len(chosen) == len(there) else "; --all reads every one"
        yield fine(
            "blobs.damaged", f"{how} ({size_words(total)}) have the hash they must have{rest}."
        )


def _sample(there: dict[str, int]) -> list[str]:
    """Choose other ones each time, so that many looks see all."""
    order = random.sample(list(there), min(SAMPLE, len(there)))
    chosen, size = [], 0
    for digest in order:
        if size + there[digest] <= SAMPLE_BYTES:
            chosen.append(digest)
            size += there[digest]
    return chosen


def _whose(connection: Connection, digests: list[str]) -> str:
    """Name the first blobs by the run or logged model, and the path, that they are known under."""
    artifact, run = schema.artifact, schema.run
    file, model = schema.logged_model_file, schema.logged_model
    words = []
    for digest in digests[:NAMED]:
        row = connection.execute(
            select(run.c.run_id, artifact.c.path)
            .join(run, run.c.pk == artifact.c.run_pk)
            .where(artifact.c.sha256 == digest)
        ).first()
        if row is not None:
            words.append(f"{row.path} of run {row.run_id[:8]}")
            continue
        of_model = connection.execute(
            select(model.c.model_id, file.c.path)
            .join(model, model.c.pk == file.c.model_pk)
            .where(file.c.sha256 == digest)
        ).first()
        words.append(
            f"{of_model.path} of logged model {of_model.model_id[:10]}"
            if of_model is not None
            else f"blob {digest[:12]}"
        )
    more = f" and {len(digests) - NAMED:,} more" if len(digests) > NAMED else ""
    return ", ".join(words) + more
