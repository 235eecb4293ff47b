"""Opening a store: ours is made once, whoever comes first; another's is never touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, insert

from loopline.backend.local import LocalBackend
from loopline.errors import BackendUnavailableError, StoreVersionError
from loopline.records.operations import ListExperiments, SearchRuns
from loopline.records.tracking import RunStatus
from loopline.settings import Address
from loopline.store import schema
from loopline.store.database import Store, wall_clock_ms
from loopline.transfer import mlflow_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import PostgresServer


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("table", ["customers", "alembic_version"])
def test_a_database_of_another_program_is_left_to_the_byte(tmp_path: Path, table: str) -> None:
    path = tmp_path / "fares.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
    before = files_of(tmp_path)
    with pytest.raises(StoreVersionError, match=r"another program.*loopline init"):
        Store(f"sqlite:///{path}")
    assert files_of(tmp_path) == before


def fill_as_mlflow(url: str) -> None:
    """Make a database with MLflow's own schema, and an experiment in it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        mlflow_schema.create_tables(connection, mlflow_schema.MLFLOW_2)
        tables = mlflow_schema.tables
        connection.execute(
            insert(tables["alembic_version"]), {"version_num": mlflow_schema.MLFLOW_2.revision}
        )
        connection.execute(
            insert(tables["experiments"]),
            {"experiment_id": 1, "name": "taxifare", "lifecycle_stage": "active"},
        )
    engine.dispose()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_mlflow_store_is_left_to_the_byte_and_the_error_names_the_import(
    tmp_path: Path, mode: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = home / "loopline.db"  # Under the name that a home's database has, even.
    fill_as_mlflow(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    before = path.read_bytes()

    for address in (Address("home", str(home)), Address("database", f"sqlite:///{path}")):
        with pytest.raises(StoreVersionError, match=f"loopline import mlflow {path}"):
            LocalBackend(address, home=tmp_path / "other")
    done = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "runs", "list", "--uri", f"sqlite:///{path}"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"loopline import mlflow {path}" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
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


#: What a training script of fifty that start at once does.
TRAINING = """
import sys
import loopline
loopline.set_tracking_uri(sys.argv[1])
loopline.set_experiment("wagoncab taxifare")
with loopline.start_run(run_id=sys.argv[2]):
    for step in range(20):
        loopline.log_metric("rmse", 5 - step / 10, step=step)
"""


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_fifty_processes_may_open_one_empty_postgresql_and_lose_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    # On SQLite: tests/reliability/test_r12_many_writers.py
    address = postgres.new_empty()
    environment = {**os.environ, "LOOPLINE_NO_CAPTURE": "1", "LOOPLINE_HOME": str(tmp_path / "own")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINING, address.text, f"run{number}"], env=environment
        )
        for number in range(50)
    ]
    assert [process.wait() for process in started] == [0] * 50
    backend = LocalBackend(address, home=tmp_path / "home")
    runs = backend.call(SearchRuns(max_results=100)).runs
    backend.close()
    assert {run.status for run in runs} == {RunStatus.FINISHED}
    assert sum(run.metrics["rmse"].count for run in runs) == 1000


def everything_in(address: Address) -> str:
    program = shutil.which("pg_dump")
    assert program, "needs PostgreSQL's client programs: tools/system-packages.sh"
    dumped = subprocess.run([program, address.text], check=True, capture_output=True, text=True)
    # Each dump has a key of its own, against tricks at its restoring.
    return "\n".join(
        line for line in dumped.stdout.splitlines() if "restrict" not in line.partition(" ")[0]
    )


@pytest.mark.deep
def test_an_mlflow_database_on_postgresql_is_left_alone(postgres: PostgresServer) -> None:
    address = postgres.new_empty()
    fill_as_mlflow(address.text.replace("postgresql:", "postgresql+psycopg:"))
    before = everything_in(address)
    with pytest.raises(
        StoreVersionError, match=r"an MLflow store.*loopline import mlflow postgres"
    ):
        Store(address.text)
    assert everything_in(address) == before


@pytest.mark.deep
@pytest.mark.parametrize("made", ["TABLE runs (a int)", "VIEW runs AS SELECT 1 AS a"])
def test_a_postgresql_with_something_where_our_views_would_be_is_left_alone(
    postgres: PostgresServer, made: str
) -> None:
    import psycopg

    address = postgres.new_empty()
    with psycopg.connect(address.text) as connection:
        connection.execute(f"CREATE {made}".encode())
    before = everything_in(address)
    with pytest.raises(StoreVersionError, match="another program's tables"):
        Store(address.text)
    assert everything_in(address) == before


@pytest.mark.deep
def test_a_postgresql_that_is_away_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError) as caught:
        Store(f"postgresql://vera:geheim@/taxi?host={quote(str(tmp_path), safe='')}")
    assert "does not answer" in str(caught.value)
    assert "geheim" not in str(caught.value)


def described(path: Path) -> dict[str, Any]:
    """Tell columns, keys, references, indexes and views of a SQLite store, however written."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        for kind, name, sql in rows:
            if kind == "view":
                found[name] = sql
            elif kind == "table":
                columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
                references = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
                indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
                found[name] = (
                    [(*row[1:4], str(row[4]).strip("()"), *row[5:]) for row in columns],
                    sorted(map(repr, (row[2:] for row in references))),
                    sorted(
                        repr(
                            (
                                row[2:],
                                connection.execute(f"PRAGMA index_xinfo({row[1]})").fetchall(),
                            )
                        )
                        for row in indexes
                    ),
                    _rows(connection, name),
                    "WITHOUT ROWID" in sql,
                    "AUTOINCREMENT" in sql,
                )
    return found


def _rows(connection: sqlite3.Connection, table: str) -> list[Any]:
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
    if table == "ll_store_key":  # Drawn by lot: no two have the same, but each as long a one.
        return [(name, len(key)) for name, key in rows]
    if table == "ll_experiment":  # Made when the store was: a test of its own.
        return [[None if type(one) is int and one > 10**12 else one for one in row] for row in rows]
    return rows


@pytest.mark.parametrize("road", [schema.VERSION, "an older one"])
def test_the_default_experiment_is_as_old_as_its_store(
    road: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "VERSION", road)  # The short way, and that of migrations.
    before_ms = wall_clock_ms()
    backend = LocalBackend(Address("home", str(tmp_path)))
    (default,) = backend.call(ListExperiments())
    backend.close()
    assert default.name == "Default"
    assert before_ms <= default.created_ms == default.updated_ms <= wall_clock_ms()


def test_a_new_store_is_what_all_migrations_lead_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(f"sqlite:///{tmp_path / 'made.db'}").close()
    monkeypatch.setattr(schema, "VERSION", "an older one")  # Then it takes the long way.
    Store(f"sqlite:///{tmp_path / 'migrated.db'}").close()
    made, migrated = (described(tmp_path / f"{name}.db") for name in ("made", "migrated"))
    assert made.keys() == migrated.keys()
    for name, one in made.items():
        assert one == migrated[name], name
    assert len(made) > 30
