"""Restoring: every file is checked against its hash before anything counts.

Blobs go where they belong by their hash; they mean nothing until a database names them. The
database comes last and takes its name at once: a home without one is empty, so an interrupted
restore is simply done again.
"""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from loopline.backend.local import LocalBackend
from loopline.blobs.hold import lock_file
from loopline.blobs.local import chunks_of
from loopline.blobs.open import open_blobs
from loopline.care.databases import check_sqlite, count_rows, has_data, read_only
from loopline.care.files import blob_path, copy_hashed, room_in
from loopline.care.progress import silent
from loopline.care.sources import open_source
from loopline.care.targets import BLOBS
from loopline.disk import sync_folder
from loopline.errors import ConflictError, IntegrityError, InvalidInputError
from loopline.journal.home import make_home
from loopline.records.base import Record
from loopline.settings import HOME_FOLDER, Address, blobs_address
from loopline.store.keyring import KEY_FILE
from loopline.store.sealing import count_closed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from loopline.blobs.protocol import Blobs
    from loopline.care.progress import Progress
    from loopline.care.sources import Source

__all__ = ["RestoreReport", "check_backup", "restore"]

DATABASE = "loopline.db"
LOCK = "restore.lock"
#: Damaged files that a message names.
_NAMED = 3


class RestoreReport(Record, frozen=True, kw_only=True):
    """What a backup held and where it is now.

    Attributes:
        path: The home or database restored into; empty when the backup was only checked.
        taken_ms: Unix time in milliseconds of the state it shows.
        counts: What the opened store has now.
        blobs: Blobs restored, each checked.
        missing: Blobs that the backup never had: they were gone when it was made.
        kept_aside: Home with the store that was there before; empty: there was none.
        closed: Secrets in it that no key opens that is here.
    """

    path: str = ""
    taken_ms: int
    counts: dict[str, int]
    blobs: int
    size_bytes: int
    missing: list[str] = msgspec.field(default_factory=list)
    kept_aside: str = ""
    closed: int = 0


def check_backup(path: Path, *, progress: Progress = silent) -> RestoreReport:
    """Check every file of a backup against its hash, restoring nothing.

    Raises:
        NotFoundError: There is no backup.
        IntegrityError: It is not whole, or a file is missing or damaged.
    """
    from hashlib import sha256

    def hash_only(_name: str, file: BinaryIO, expected: str, heard: _Heard) -> bool:
        hasher = sha256()
        for chunk in chunks_of(file):
            hasher.update(chunk)
            heard(len(chunk))
        return hasher.hexdigest() == expected

    with open_source(path) as source:
        _take_all(source, hash_only, progress)
        return _report(source, "", (source.manifest.counts, 0), "")


def restore(
    path: Path, address: Address, *, force: bool = False, progress: Progress = silent
) -> RestoreReport:
    """Restore a backup into an empty home or database.

    Args:
        path: The backup.
        address: A home, or for a backup of PostgreSQL an empty database.
        force: Where a home has data, keep that aside instead of refusing.
        progress: Told how far it is.

    Raises:
        NotFoundError: There is no backup.
        IntegrityError: It is not whole, or a file is missing or damaged; nothing was changed.
        InvalidInputError: The home has data.
        ConflictError: The home is in use.
    """
    with open_source(path) as source:
        if source.manifest.kind == "postgresql":
            return _restore_postgresql(source, address, progress)
        if address.kind != "home":
            msg = f"This is the backup of a home: give --uri a folder, not {address}."
            raise InvalidInputError(msg)
        home = Path(address.text)
        make_home(home)
        with (
            room_in(home),
            lock_file(home / LOCK, alone=True, remove=True) as got,
        ):
            if not got:
                msg = f"Another restore into {home} is under way. Wait until it is through."
                raise ConflictError(msg)
            return _restore_home(source, address, home, progress, force=force)


def _restore_home(
    source: Source, address: Address, home: Path, progress: Progress, *, force: bool
) -> RestoreReport:
    database = home / DATABASE
    if not force:
        _refuse_data(address, database)
    blobs = open_blobs(blobs_address(home))
    incoming = home / f"restoring-{DATABASE}"
    try:
        _take_all(source, _Taker(blobs, incoming), progress)
        check_sqlite(incoming)
        incoming.chmod(0o644)
        aside = _move_aside(home, blobs)
        if database.exists():
            msg = f"Somebody has just made {database}. Stop what uses {home}, then try again."
            raise ConflictError(msg)
        incoming.replace(database)
        sync_folder(home)
    finally:
        incoming.unlink(missing_ok=True)
    return _report(source, str(home), _open_and_count(source, address), aside)


def _restore_postgresql(source: Source, address: Address, progress: Progress) -> RestoreReport:
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine import make_url

    from loopline.care.postgresql import restore_dump

    if address.kind != "database" or not address.text.startswith("postgresql"):
        msg = (
            "This is the backup of a PostgreSQL store. Give --uri an empty database: createdb "
            "taxifare, then --uri postgresql:///taxifare"
        )
        raise InvalidInputError(msg)
    url = make_url(address.text)
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    try:
        tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables:
        msg = f"{address} has tables already. Restore into an empty database: createdb NAME"
        raise InvalidInputError(msg)
    home = Path.home() / HOME_FOLDER
    make_home(home)
    blobs = open_blobs(blobs_address(home))
    incoming = home / "restoring-loopline.dump"
    with room_in(home):
        try:
            _take_all(source, _Taker(blobs, incoming), progress)
            progress("database", 0, 0)
            restore_dump(url, incoming)
        finally:
            incoming.unlink(missing_ok=True)
    blobs.note_store(url.render_as_string(hide_password=True))
    return _report(source, str(address), _open_and_count(source, address), "")


class _Heard:
    """Hears of bytes and passes on how far it is."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._progress("files", self._done, self._total)


class _Taker:
    """Puts a backup's files where they belong, if they have the hash they must have."""

    def __init__(self, blobs: Blobs, database: Path) -> None:
        self._blobs = blobs
        self._database = database

    def __call__(self, name: str, file: BinaryIO, expected: str, heard: _Heard) -> bool:
        if name.startswith(f"{BLOBS}/"):
            folder = self._blobs.folder
            if folder is None:
                return self._send(file, expected, heard)
            target = folder / blob_path(expected)
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True)
                sync_folder(folder)
            is_whole = copy_hashed(file, target, expected, heard)
            sync_folder(target.parent)
            return is_whole
        return copy_hashed(file, self._database, expected, heard)

    def _send(self, file: BinaryIO, expected: str, heard: _Heard) -> bool:
        def chunks() -> Iterator[bytes]:
            for chunk in chunks_of(file):
                heard(len(chunk))
                yield chunk

        try:
            self._blobs.put(chunks(), expected=expected)
        except IntegrityError:
            return False
        return True


def _take_all(source: Source, take: object, progress: Progress) -> None:
    """Give every file to ``take``.

    Raises:
        IntegrityError: Some are missing or damaged; the rest were taken.
    """
    assert callable(take)  # noqa: S101 - either of the two above
    manifest = source.manifest
    expected = {manifest.database.path: manifest.database.sha256}
    expected.update((f"{BLOBS}/{blob_path(digest)}", digest) for digest, _ in manifest.blobs)
    heard = _Heard(progress, manifest.size_bytes)
    damaged = []
    for name, file in source.files():
        if not take(name, file, expected.pop(name), heard):
            damaged.append(name)
    if damaged or expected:
        bad = [*(f"{name} is damaged" for name in damaged), *(f"{n} is missing" for n in expected)]
        more = f", and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        msg = (
            f"The backup is not what was backed up: {'; '.join(bad[:_NAMED])}{more}. Nothing was "
            "restored. Restore from another backup."
        )
        raise IntegrityError(msg)


def _refuse_data(address: Address, database: Path) -> None:
    """Refuse to restore over a store that was used, or that this Loopline cannot read."""
    if not database.exists() or _is_unused(database):
        return
    msg = (
        f"{address} holds {_contents(database)}. Restore into another folder with --uri, or add "
        "--force: what is there is then kept aside."
    )
    raise InvalidInputError(msg)


def _is_unused(database: Path) -> bool:
    if not database.stat().st_size:
        return True
    try:
        return not has_data(_counts(database))
    except SQLAlchemyError:
        return False


def _contents(database: Path) -> str:
    try:
        counts = _counts(database)
    except SQLAlchemyError as error:
        return f"a database that cannot be read ({type(error).__name__})"
    return f"{counts['runs']:,} runs and {counts['models']:,} models"


def _counts(database: Path) -> dict[str, int]:
    with read_only(database) as connection:
        return count_rows(connection)


def _move_aside(home: Path, blobs: Blobs) -> str:
    """Move the database there is into a home of its own; answer that, or nothing.

    One that was never used is deleted.

    The blobs stay, shared by both: a note keeps gc from taking those that only it needs.

    Raises:
        ConflictError: Some program has the database open, and would go on writing to it.
    """
    database = home / DATABASE
    if not database.exists():
        return ""
    _close_for_good(database)
    if _is_unused(database):
        database.unlink()
        return ""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = home / f"before-restore-{stamp}"
    aside.mkdir(exist_ok=True)
    blobs.note_store(str(aside / DATABASE))
    if blobs.folder is not None and not (aside / "blobs").exists():
        (aside / "blobs").symlink_to(os.path.relpath(blobs.folder.resolve(), aside.resolve()))
    if (home / KEY_FILE).exists() and not (aside / KEY_FILE).exists():
        (aside / KEY_FILE).symlink_to(Path("..") / KEY_FILE)
    database.replace(aside / DATABASE)
    sync_folder(aside)
    return str(aside)


def _close_for_good(database: Path) -> None:
    """Bring what is in the WAL into the file, which works only when nobody else has it open."""
    connection = sqlite3.connect(database, timeout=0)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            return  # Damaged: it is moved as it is.
        msg = (
            f"A program has {database} open. Stop servers, workers and trainings on this home, "
            "then restore again; what trainings log meanwhile is kept in their journals."
        )
        raise ConflictError(msg) from error
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def _open_and_count(source: Source, address: Address) -> tuple[dict[str, int], int]:
    """Open the restored store, upgrading it when the backup is old, and count what it has.

    Returns:
        What people count, and the secrets that no key opens that is here.

    Raises:
        IntegrityError: It has not what the manifest says.
    """
    backend = LocalBackend(address)
    try:
        with backend.store.read() as connection:
            counts = count_rows(connection)
            closed = count_closed(backend.store, connection)
    finally:
        backend.close()
    expected = source.manifest.counts
    differing = [name for name in counts if counts[name] != expected.get(name, counts[name])]
    if differing:
        name = differing[0]
        msg = (
            f"The restored store has {counts[name]:,} {name} and the backup was made of "
            f"{expected[name]:,}. Restore from another backup."
        )
        raise IntegrityError(msg)
    return counts, closed


def _report(
    source: Source, path: str, opened: tuple[dict[str, int], int], aside: str
) -> RestoreReport:
    manifest = source.manifest
    return RestoreReport(
        path=path,
        taken_ms=manifest.taken_ms,
        counts=opened[0],
        blobs=len(manifest.blobs),
        size_bytes=manifest.size_bytes,
        missing=manifest.missing,
        kept_aside=aside,
        closed=opened[1],
    )
