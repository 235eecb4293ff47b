"""Copying a database while others write to it: one consistent state of a moment."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, func, select, text

from loopline.care.references import References, read_references
from loopline.errors import IntegrityError, StorageFullError
from loopline.records.base import Record
from loopline.store import schema
from loopline.store.sealing import count_sealed
from loopline.store.sqlite import uri_to_read
from loopline.store.version import VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from loopline.care.progress import Progress
    from loopline.store.database import Store

__all__ = ["DatabaseCopy", "check_sqlite", "copy_database", "count_rows", "has_data", "read_only"]

#: Pages copied between two words about the progress: 8 MB.
_PAGES = 2048
#: How long a reader waits for a database that somebody has locked.
WAIT_S = 30.0

_COUNTED = {
    "experiments": select(func.count()).select_from(schema.experiment),
    "runs": select(func.count()).select_from(schema.run),
    "metric_points": select(func.coalesce(func.sum(schema.metric_block.c.count), 0)),
    "artifacts": select(func.count()).select_from(schema.artifact),
    "logged_models": select(func.count()).select_from(schema.logged_model),
    "models": select(func.count()).select_from(schema.model),
    "model_versions": select(func.count()).select_from(schema.model_version),
    "flows": select(func.count()).select_from(schema.flow),
    "flow_runs": select(func.count()).select_from(schema.flow_run),
}


class DatabaseCopy(Record, frozen=True, kw_only=True):
    """What a copy of the database holds.

    Attributes:
        kind: ``"sqlite"`` or ``"postgresql"``.
        taken_ms: Unix time in milliseconds of the state copied.
        schema: Version of the schema.
        counts: Rows of what people count.
        references: The blobs it names.
        sealed: Secrets in it, which open only with the key.
    """

    kind: str
    taken_ms: int
    schema: str
    counts: dict[str, int]
    references: References
    sealed: int = 0


def copy_database(store: Store, target: Path, progress: Progress) -> DatabaseCopy:
    """Copy the database to a file; readers and writers go on meanwhile.

    The file is synced. It and what is told of it come from one and the same transaction, so they
    show a prefix of what was acknowledged to each writer.

    Raises:
        StorageFullError: No room for the copy.
        IntegrityError: The database is damaged, so the copy would be, too.
    """
    with store.read() as connection:
        # The first read fixes the state that all of this transaction sees.
        version = str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar())  # noqa: S608
        taken_ms = store.clock()
        if store.is_sqlite:
            kind = "sqlite"
            _copy_sqlite(connection, target, progress)
        else:
            from loopline.care.postgresql import dump

            kind = "postgresql"
            progress("database", 0, 0)
            dump(connection, store.url, target)
        copy = DatabaseCopy(
            kind=kind,
            taken_ms=taken_ms,
            schema=version,
            counts=count_rows(connection),
            references=read_references(connection),
            sealed=count_sealed(connection),
        )
    if store.is_sqlite:
        check_sqlite(target)
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return copy


def count_rows(connection: Connection) -> dict[str, int]:
    """Count what people ask for after a restore."""
    return {name: int(connection.execute(query).scalar() or 0) for name, query in _COUNTED.items()}


def has_data(counts: dict[str, int]) -> bool:
    """Tell whether a store was used: more than the experiment that every store begins with."""
    return any(count for name, count in counts.items() if name != "experiments") or (
        counts["experiments"] > 1
    )


@contextmanager
def read_only(path: Path) -> Iterator[Connection]:
    """Open a SQLite file such that nothing can be changed by it, not even its schema's version."""
    opened = partial(sqlite3.connect, uri_to_read(path), uri=True, timeout=WAIT_S)
    engine = create_engine("sqlite://", creator=opened)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _copy_sqlite(connection: Connection, target: Path, progress: Progress) -> None:
    """Copy page by page within the open transaction, whose state no writer changes.

    Without that transaction a copy in steps would begin anew at each write of others, and under
    load never end.
    """
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)  # noqa: S101 - the store is SQLite
    copy = sqlite3.connect(target)
    try:
        source.backup(
            copy,
            pages=_PAGES,
            progress=lambda _status, left, total: progress("database", total - left, total),
        )
        # One file: nobody has to know that -wal and -shm may belong to it.
        copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        if "full" in str(error) or "disk I/O" in str(error):
            msg = f"No room for a copy of the database in {target.parent}. Free some space."
            raise StorageFullError(msg) from error
        raise
    finally:
        copy.close()


def check_sqlite(path: Path) -> None:
    """Check a database file that nobody has open.

    Raises:
        IntegrityError: It is damaged.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    finally:
        connection.close()
    if found != ["ok"]:
        msg = (
            f"The copy of the database is damaged ({'; '.join(found)}), so the database is, too. "
            "`loopline doctor` says more. Keep your earlier backups."
        )
        raise IntegrityError(msg)
