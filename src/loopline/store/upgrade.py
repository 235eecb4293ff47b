"""Bringing a database's schema up to date, safely when fifty processes try it at once."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from loopline.errors import StoreVersionError
from loopline.store.views import make_views

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["HEAD", "bring_up_to_date"]

#: The newest migration, so that an up-to-date store is opened without importing Alembic.
HEAD = "0001"
VERSION_TABLE = "ll_schema_version"
#: A table that only MLflow's own store has.
FOREIGN_TABLE = "alembic_version"


#: Alembic keeps what it works on in globals: one upgrade at a time in a process.
_upgrading = threading.Lock()


def check_ours(path: str) -> None:
    """Refuse a SQLite file that holds another program's tables, before anything opens it to write.

    Raises:
        StoreVersionError: It does; the message says whose, and what to do.
    """
    file = Path(path)
    if not file.is_file() or not file.stat().st_size:
        return
    try:
        tables = _tables(file, "ro")
    except sqlite3.OperationalError:
        # A process that was killed left a journal behind, which only a writer can roll back.
        tables = _tables(file, "rw")
    if tables and VERSION_TABLE not in tables:
        is_mlflow = FOREIGN_TABLE in tables
        raise _foreign(path, "an MLflow store" if is_mlflow else "another program's tables")


def _foreign(where: str, whose: str) -> StoreVersionError:
    return StoreVersionError(
        f"{where} holds {whose}. Loopline leaves it untouched; give it a home of its own with "
        "`loopline init`, or another database."
    )


def _tables(file: Path, mode: str) -> set[str]:
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode={mode}", uri=True)
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row[0] for row in rows}
    finally:
        connection.close()


def bring_up_to_date(store: Store) -> None:
    """Create or upgrade the schema; do nothing, in one read, when it is current.

    Raises:
        StoreVersionError: The schema is newer than this program, or belongs to MLflow.
    """
    with store.read() as connection:
        if _version(connection) == HEAD:
            return
    # One process upgrades; the others wait for its write lock, then find the work done.
    with _upgrading, store.write() as connection:
        version = _version(connection)
        if version == HEAD:
            return
        if version is None and inspect(connection).has_table(FOREIGN_TABLE):
            raise _foreign(store.where, "an MLflow store")
        _run_migrations(connection, version)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()  # noqa: S608
    return None if row is None else str(row[0])


def _run_migrations(connection: Connection, version: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        msg = (
            f"The store's schema is {version}, newer than this Loopline knows ({HEAD}). "
            "Upgrade Loopline: pip install --upgrade loopline"
        )
        raise StoreVersionError(msg)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    make_views(connection)
