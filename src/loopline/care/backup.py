"""Backups: the database as it was at one moment, and every blob that it names.

A folder is brought up to date: blobs that are there already are not copied again, and the last
whole backup stays valid until the next one is whole. A ``.tar`` is one file, made anew.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

from loopline.blobs.hold import lock_file
from loopline.care.databases import copy_database
from loopline.care.files import PART, hash_file, room_in
from loopline.care.manifest import BackedUpFile, Manifest
from loopline.care.progress import silent
from loopline.care.targets import ARCHIVES, LOCK, ArchiveTarget, BlobSource, FolderTarget
from loopline.errors import AlreadyExistsError, ConflictError
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.backend.local import LocalBackend
    from loopline.blobs.protocol import Blobs
    from loopline.care.databases import DatabaseCopy
    from loopline.care.progress import Progress
    from loopline.care.targets import Target

__all__ = ["BackupReport", "back_up"]


class BackupReport(Record, frozen=True, kw_only=True):
    """What a backup holds and what it cost.

    Attributes:
        path: Where it is.
        copied: Blobs copied or linked now; the others were there.
        copied_bytes: Their bytes.
        missing: Blobs that the store names and that are not there, or damaged.
        sealed: Secrets in it, which open only with the key, which no backup holds.
    """

    path: str
    taken_ms: int
    size_bytes: int
    counts: dict[str, int]
    blobs: int
    copied: int
    copied_bytes: int
    missing: list[str] = msgspec.field(default_factory=list)
    sealed: int = 0


def back_up(
    backend: LocalBackend,
    target: Path,
    *,
    link: bool = False,
    replace: bool = False,
    progress: Progress = silent,
) -> BackupReport:
    """Back a store up while others use it.

    Args:
        backend: The store and its blobs.
        target: A folder, new or with an earlier backup; or a file that ends in ``.tar``,
            ``.tar.gz`` or ``.tgz``.
        link: Link blobs into the folder instead of copying them, where the disk is the same:
            that keeps them from deletion, but not from the loss of the disk.
        replace: Replace a backup in one file, once the new one is whole.
        progress: Told how far it is.

    Raises:
        AlreadyExistsError: The file is there, and is not to be replaced.
        ConflictError: Another backup to this target, or a gc, is under way.
        InvalidInputError: The target holds something else.
        StorageFullError: No room; what the target held before is still valid.
        IntegrityError: The database is damaged.
    """
    target = target.expanduser().absolute()
    if not replace and target.is_file() and target.name.endswith(ARCHIVES):
        msg = (
            f"{target} is there already. Give another name, a folder (which is brought up to "
            "date), or --force to replace it once the new backup is whole."
        )
        raise AlreadyExistsError(msg)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    with room_in(target.parent), _opened(target, stamp, link=link) as opened:
        # Held from before the copy of the database until its last blob is safe.
        with backend.blobs.hold(alone=False):
            copy = copy_database(backend.store, opened.database, progress)
            database = _kept_as(opened.database, copy.kind)
            opened.add_database(database)
            blobs = _Blobs(backend.blobs, opened, progress)
            blobs.add_all(copy)
        manifest = Manifest(
            loopline=_version(),
            taken_ms=copy.taken_ms,
            source=backend.store.where,
            kind=copy.kind,
            schema=copy.schema,
            database=database,
            counts=copy.counts,
            blobs=blobs.kept,
            missing=blobs.missing,
        )
        opened.finish(manifest)
    return BackupReport(
        path=str(target),
        taken_ms=copy.taken_ms,
        size_bytes=manifest.size_bytes,
        counts=copy.counts,
        blobs=len(blobs.kept),
        copied=blobs.copied,
        copied_bytes=blobs.copied_bytes,
        missing=blobs.missing,
        sealed=copy.sealed,
    )


class _Blobs:
    """Brings the blobs of a copied database into a backup."""

    def __init__(self, place: Blobs, target: Target, progress: Progress) -> None:
        self._place = place
        self._target = target
        self._progress = progress
        self._done = self._total = 0
        self.kept: list[tuple[str, int]] = []
        self.missing: list[str] = []
        self.copied = self.copied_bytes = 0

    def add_all(self, copy: DatabaseCopy) -> None:
        """Add every blob that the database names and that the backup does not have yet."""
        wanted = []
        there = {each.digest: each.size_bytes for each in self._place.listed()}
        for each in sorted(copy.references.everything):
            digest = each.hex()
            size = there.get(digest)
            if size is None:
                if each in copy.references.named:
                    self.missing.append(digest)
                continue
            if self._target.has_blob(digest, size):
                self.kept.append((digest, size))
            else:
                wanted.append((digest, size))
        self._total = sum(size for _, size in wanted)
        for digest, size in wanted:
            self._add(digest, size)
        self.kept.sort()
        self.missing.sort()

    def _add(self, digest: str, size: int) -> None:
        source = BlobSource(self._place, digest, size)
        if not self._target.add_blob(source, self._hear):
            self.missing.append(digest)
            return
        self.kept.append((digest, size))
        self.copied += 1
        self.copied_bytes += size

    def _hear(self, size: int) -> None:
        self._done += size
        self._progress("blobs", self._done, self._total)


@contextmanager
def _opened(target: Path, stamp: str, *, link: bool) -> Iterator[Target]:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name.endswith(ARCHIVES):
        with _alone(target.with_name(f".{target.name}.lock"), target):
            archive = ArchiveTarget(target, stamp=stamp)
            try:
                yield archive
            finally:
                archive.close()
        return
    target.mkdir(exist_ok=True)
    with _alone(target / LOCK, target):
        yield FolderTarget(target, stamp=stamp, link=link)


@contextmanager
def _alone(lock: Path, target: Path) -> Iterator[None]:
    with lock_file(lock, alone=True, remove=True) as got:
        if not got:
            msg = f"Another backup to {target} is under way. Wait for it, or give another target."
            raise ConflictError(msg)
        yield


def _kept_as(path: Path, kind: str) -> BackedUpFile:
    """Describe the copied database under the name it gets."""
    ending = ".db" if kind == "sqlite" else ".dump"
    _, name, stamp = path.name.removesuffix(PART).rpartition("database-")
    return BackedUpFile(
        path=f"{name}{stamp}{ending}",
        sha256=hash_file(path),
        size_bytes=path.stat().st_size,
    )


def _version() -> str:
    try:
        return version("loopline")
    except PackageNotFoundError:
        return "0+source"
