"""Opening a store: ours is made once, whoever comes first; another's is never touched."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from loopline.errors import StoreVersionError
from loopline.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("table", "whose"), [("alembic_version", "an MLflow store"), ("customers", "another program")]
)
def test_a_database_of_another_program_is_left_to_the_byte(
    tmp_path: Path, table: str, whose: str
) -> None:
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreVersionError, match=whose):
        Store(f"sqlite:///{path}")

    assert path.read_bytes() == before


#: Dies in the middle of a transaction that has reached the file, as one does that makes a store.
KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("CREATE TABLE ll_schema_version (version_num TEXT)")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("CREATE TABLE filler (data BLOB)")
connection.executemany("INSERT INTO filler VALUES (zeroblob(9000))", [()] * 50)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_half_written_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "loopline.db"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert path.with_name("loopline.db-journal").stat().st_size
    Store(f"sqlite:///{path}").close()
    assert not path.with_name("loopline.db-journal").exists()


def test_threads_may_make_stores_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def make(number: int) -> None:
        try:
            Store(f"sqlite:///{tmp_path / str(number % 4)}.db").close()
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_schema_is_refused_politely(tmp_path: Path) -> None:
    path = tmp_path / "loopline.db"
    Store(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE ll_schema_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreVersionError, match="pip install --upgrade loopline"):
        Store(f"sqlite:///{path}")
