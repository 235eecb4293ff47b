"""Bringing a database's schema up to date, safely when fifty processes try it at once.

An upgrade is one transaction, whatever it remakes: a process that dies in it leaves the schema
that was there, and the next one begins anew.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect

from loopline.errors import IntegrityError, StoreVersionError
from loopline.store import schema
from loopline.store.sqlite import uri_to_read
from loopline.store.version import HEAD, VERSION_TABLE
from loopline.store.views import VIEWS, drop_views, make_views

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["HEAD", "bring_up_to_date", "check_ours", "whose_tables"]

#: Alembic's folder of migrations; none is edited once it was released.
MIGRATIONS = Path(__file__).parent / "migrations"
#: What a new store has in it, from the moment it was made.
DEFAULT_EXPERIMENT = {"id": 0, "name": "Default"}
#: Length of the keys that a store makes for itself.
KEY_BYTES = 32
#: As Alembic makes it.
VERSIONS = (
    f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
    f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)
#: Tables that an MLflow store has. The first alone is every program's that uses Alembic.
MLFLOW_TABLES = {"alembic_version", "experiments", "runs"}


#: Alembic keeps what it works on in globals: one upgrade at a time in a process.
_upgrading = threading.Lock()


def whose_tables(tables: set[str]) -> str:
    """Say in a few words whose a database is that has these tables; empty: ours, or nobody's."""
    if not tables or VERSION_TABLE in tables:
        return ""
    return "an MLflow store" if tables >= MLFLOW_TABLES else "another program's tables"


def check_ours(path: str) -> None:
    """Refuse a SQLite file that holds another program's tables, before anything opens it to write.

    Raises:
        StoreVersionError: It does; the message says whose, and what to do.
    """
    file = Path(path)
    if not file.is_file() or not file.stat().st_size:
        return
    try:
        tables = _tables(uri_to_read(file))
    except sqlite3.OperationalError:
        # A process that was killed left a journal behind, which only a writer can roll back.
        tables = _tables(f"{file.resolve().as_uri()}?mode=rw")
    if whose := whose_tables(tables):
        raise _foreign(path, whose)


def _foreign(where: str, whose: str) -> StoreVersionError:
    taken_in = ""
    if "MLflow" in whose:
        taken_in = f" Bring in what it has with `loopline import mlflow {where}`."
    return StoreVersionError(
        f"{where} holds {whose}. Loopline leaves it untouched and needs a home of its own "
        f"(`loopline init`) or another database.{taken_in}"
    )


def _tables(uri: str) -> set[str]:
    connection = sqlite3.connect(uri, uri=True)
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row[0] for row in rows}
    finally:
        connection.close()


def bring_up_to_date(store: Store) -> None:
    """Create or upgrade the schema; do nothing, in one read, when it is current.

    Raises:
        StoreVersionError: The schema is newer than this program, or another program's.
    """
    with store.read() as connection:
        version = _version(connection)
        if version == HEAD:
            return
        if version is None:
            _refuse_foreign(connection, store.where)
    if version is None and HEAD == schema.VERSION and _is_made(store):
        return
    config = _config()
    _refuse_newer(config, version, store.where)
    # One process upgrades; the others wait for its write lock, then find the work done.
    with _upgrading, store.write(remakes_tables=True) as connection:
        version = _version(connection)
        if version == HEAD:
            return
        if version is None:
            _refuse_foreign(connection, store.where)
        _refuse_newer(config, version, store.where)
        _upgrade(connection, config)
        if version is not None:
            _check_references(connection, store)


def _is_made(store: Store) -> bool:
    """Make the tables as they are now, where there are none; tell whether they are there.

    It takes no Alembic, which is a quarter of a short script's memory.
    """
    with _upgrading, store.write() as connection:
        if inspect(connection).has_table(VERSION_TABLE):  # By another process, perhaps half.
            return _version(connection) == HEAD
        _refuse_foreign(connection, store.where)
        schema.metadata.create_all(connection, checkfirst=False)
        now_ms = store.clock()
        default = DEFAULT_EXPERIMENT | {"created_ms": now_ms, "updated_ms": now_ms}
        connection.execute(insert(schema.experiment).values(default))
        key = {"name": schema.PAGES, "value": secrets.token_bytes(KEY_BYTES)}
        connection.execute(insert(schema.store_key).values(key))
        connection.exec_driver_sql(VERSIONS)
        connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")  # noqa: S608
        make_views(connection)
        return True


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()  # noqa: S608
    return None if row is None else str(row[0])


def _refuse_foreign(connection: Connection, where: str) -> None:
    """Refuse a PostgreSQL that has something where our views would be.

    Others may be there: a database is often shared, with extensions' tables at least.
    """
    found = inspect(connection)
    names = {*found.get_table_names(), *found.get_view_names()}
    whose = whose_tables(names)
    if whose and names & {*VIEWS, *MLFLOW_TABLES}:
        raise _foreign(where, whose)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _refuse_newer(config: Config, version: str | None, where: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        msg = (
            f"The schema of {where} is {version}, newer than this Loopline knows ({HEAD}); nothing "
            "was changed. Upgrade Loopline: pip install --upgrade loopline"
        )
        raise StoreVersionError(msg)


def _upgrade(connection: Connection, config: Config) -> None:
    """Run the migrations that are missing, with no view in the way of what they change."""
    from alembic import command

    drop_views(connection)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    make_views(connection)


def _check_references(connection: Connection, store: Store) -> None:
    """Refuse an upgrade that loses a row which others belong to: while it runs SQLite looks away.

    Raises:
        IntegrityError: It would; nothing is changed.
    """
    if not store.is_sqlite or not (broken := _count_broken(connection)):
        return
    with store.read() as before:
        if broken > _count_broken(before):
            msg = (
                f"The upgrade of {store.where} to schema {HEAD} would lose rows, so nothing was "
                "changed. Go on with the Loopline you had, and tell us in an issue."
            )
            raise IntegrityError(msg)


def _count_broken(connection: Connection) -> int:
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall())
