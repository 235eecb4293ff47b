"""Looking at the database, without changing it: no upgrade, no checkpoint."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from loopline.care.databases import count_rows
from loopline.care.doctor.findings import fine, note, problem, warning
from loopline.disk import has_room
from loopline.rules.words import count_words, distance_words, size_words
from loopline.store.holders import find_holder
from loopline.store.sqlite import uri_to_read
from loopline.store.upgrade import whose_tables
from loopline.store.version import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from loopline.care.doctor.findings import Finding

__all__ = ["examine_file", "examine_store"]

#: Size of the WAL at which somebody must have been reading for a long time.
LARGE_WAL = 256_000_000
#: How far a stored time may be ahead of the clock.
AHEAD_MS = 60_000
#: As long as a server waits before it calls a writer lost.
SILENT_S = 30.0


def examine_file(path: Path, *, thorough: bool) -> Iterator[Finding]:
    """Look at a SQLite file; an error ends the looking, for what follows would only repeat it."""
    if not path.exists():
        yield note(
            "database.exists",
            f"There is no database at {path} yet.",
            "It is made with the first record.",
        )
        return
    try:
        connection = sqlite3.connect(uri_to_read(path), uri=True, timeout=30)
        try:
            yield from _examine(connection, path, thorough=thorough)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        yield problem(
            "database.opens",
            f"The database {path} does not open: {error}.",
            "Nothing can be recorded or read.",
            "Look at the rights of the file and of its folder, or for a program that locks it."
            if has_room(path.parent)
            else "Its disk is full: delete something there. Opening it takes some kilobytes.",
        )
    except sqlite3.DatabaseError as error:
        yield _damaged(path, str(error))


def _examine(connection: sqlite3.Connection, path: Path, *, thorough: bool) -> Iterator[Finding]:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if whose := whose_tables(tables):
        yield problem(
            "database.ours",
            f"{path} holds {whose}.",
            "Loopline leaves it untouched and records nothing there.",
            "Give Loopline a home of its own: `loopline init`, or LOOPLINE_URI; `loopline import "
            "mlflow` brings in what MLflow has.",
        )
        return
    yield _schema(connection, tables)
    pragma = "integrity_check" if thorough else "quick_check"
    found = [row[0] for row in connection.execute(f"PRAGMA {pragma}(5)")]
    if found != ["ok"]:
        yield _damaged(path, "; ".join(found))
        return
    foreign = connection.execute("PRAGMA foreign_key_check").fetchall() if thorough else []
    if foreign:
        yield problem(
            "database.integrity",
            f"{count_words(len(foreign), 'row')} belong to rows that are not there, as in "
            f"{foreign[0][0]}.",
            "Pages and searches may show half of a run.",
            "Restore from a backup, and tell what happened in an issue.",
        )
        return
    yield fine(
        "database.integrity",
        f"The database is whole ({pragma}, {size_words(path.stat().st_size)}).",
    )
    yield _wal(path)
    holder = find_holder(path)
    if holder is not None and holder.is_stopped:
        yield problem(
            "database.held",
            f"Process {holder.pid} ({holder.name}) is stopped in the middle of a transaction.",
            "Until it goes on nobody else can write; what trainings log waits in their journals.",
            f"Let it go on: `kill -CONT {holder.pid}`, or `fg` in its terminal; or end it.",
        )


def _schema(connection: sqlite3.Connection, tables: set[str]) -> Finding:
    row = None
    if tables:
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
    version = row[0] if row else ""
    if version == HEAD:
        return fine("database.schema", f"The schema is the newest one, {HEAD}.")
    if version > HEAD:
        return problem(
            "database.schema",
            f"The schema is {version}, newer than this Loopline knows ({HEAD}).",
            "This Loopline refuses to record here.",
            "Upgrade: pip install --upgrade loopline",
        )
    return note(
        "database.schema",
        f"The schema is {version or 'not made yet'}, older than {HEAD}.",
        "The next program that opens the store brings it up to date.",
        "Make a backup first: `loopline backup before-upgrade.tar`",
    )


def _damaged(path: Path, how: str) -> Finding:
    return problem(
        "database.integrity",
        f"The database {path} is damaged: {how}.",
        "What is recorded may be lost, and backups of it are refused.",
        "Stop what uses it, copy the folder away, and restore from a backup: `loopline restore`.",
    )


def _wal(path: Path) -> Finding:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > LARGE_WAL:
        return warning(
            "database.wal",
            f"The WAL is {size_words(size)}.",
            "Some program has been reading in one transaction for long; reads get slower.",
            "Find it (`fuser -v " + str(wal) + "`) and let it end.",
        )
    return fine("database.wal", f"The WAL is {size_words(size)}.")


def examine_store(connection: Connection) -> Iterator[Finding]:
    """Look at what is stored."""
    from sqlalchemy import func, select

    from loopline.store import schema

    counts = count_rows(connection)
    yield fine(
        "store.counts",
        ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()) + ".",
    )
    refused = connection.execute(select(func.count()).select_from(schema.refused)).scalar() or 0
    if refused:
        yield note(
            "store.refused",
            f"{count_words(refused, 'record')} were refused for good, such as a param that was "
            "changed.",
            "They are not part of their runs.",
            "`loopline runs show RUN` tells the reasons.",
        )
    now_ms = time.time_ns() // 1_000_000
    newest = connection.execute(select(func.max(schema.writer.c.last_seen_ms))).scalar() or 0
    if newest > now_ms + AHEAD_MS:
        yield warning(
            "store.clock",
            f"Somebody wrote {distance_words(newest, now_ms)}, by the clock of then.",
            "A clock was wrong, or is now: schedules and the look for lost runs go by it.",
            "Compare: date -u. Set the clock by NTP.",
        )
    elif newest:
        yield fine("store.clock", f"Last written {distance_words(newest, now_ms)}.")
    yield from _silent(connection, now_ms)


def _silent(connection: Connection, now_ms: int) -> Iterator[Finding]:
    """Look for running runs whose writers have not been heard of."""
    from sqlalchemy import and_, exists, func, select

    from loopline.store import schema

    run, link, writer = schema.run, schema.writer_run, schema.writer
    written = exists().where(link.c.run_pk == run.c.pk)
    heard = exists().where(
        and_(
            link.c.run_pk == run.c.pk,
            link.c.writer == writer.c.writer,
            writer.c.last_seen_ms >= now_ms - SILENT_S * 1000,
        )
    )
    silent = connection.execute(
        select(func.count()).select_from(run).where(run.c.status == "RUNNING", written, ~heard)
    ).scalar()
    if silent:
        yield note(
            "store.silent",
            f"{count_words(int(silent), 'run')} look as if they ran, but their processes have "
            f"been silent for more than {SILENT_S:g} s.",
            "They died, or their machine sleeps or cannot reach the store.",
            "`loopline sync` where they ran sends what is left; a server closes them by itself.",
        )
