"""R16: an upgrade happens once, keeps every row, and a killed one has not happened at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from tests.reliability import second_schema
from tests.server import story

from loopline.backend.local import LocalBackend
from loopline.errors import IntegrityError, InvalidInputError, StoreVersionError
from loopline.records import facts as f
from loopline.settings import Address
from loopline.store import upgrade
from loopline.store.database import Store
from loopline.store.views import VIEWS

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

UPGRADING = Path(__file__).with_name("upgrading.py")
#: A view that somebody made on a table of ours.
OWN_VIEW = "CREATE VIEW nights AS SELECT run_id, status FROM ll_run"

Rows = dict[str, list[dict[str, Any]]]


class Filled:
    """A filled store of the first schema, and copies of it."""

    def __init__(self, kind: str, folder: Path, postgres: PostgresServer | None) -> None:
        self.kind = kind
        self._folder = folder
        self._postgres = postgres
        self._copies = 0
        address = Address("home", str(folder / "home"))
        if postgres is not None:
            address = postgres.new()
        backend = LocalBackend(address, home=folder / "home")
        story.fill(backend, folder)
        facts: list[f.Fact] = []
        for number in range(300):
            run_id = story.run_id(1000 + number)
            facts += [
                f.RunStarted(run_id=run_id, experiment=story.EXPERIMENT, start_ms=number),
                f.ParamsLogged(run_id=run_id, params={f"p{p}": "x" * p for p in range(10)}),
                story.points(run_id, "rmse", [4.2, float(number)], start_ms=number),
            ]
        story.send(backend, *facts)
        with backend.store.write() as connection:
            if postgres is None:  # On PostgreSQL such a view would be in the way of any change.
                connection.exec_driver_sql(OWN_VIEW)
        self.url = backend.store.url.render_as_string(hide_password=False)
        backend.close()
        self._address = address

    def copy(self) -> str:
        """Copy it; return the copy's URL."""
        if self._postgres is not None:
            return self._postgres.copy(self._address).text
        self._copies += 1
        path = self._folder / f"copy {self._copies}.db"
        shutil.copyfile(self._folder / "home" / "loopline.db", path)  # Closed, so all is in it.
        return f"sqlite:///{path}"


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.deep)]
)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Filled(request.param, tmp_path_factory.mktemp("filled"), postgres)


@pytest.fixture(scope="module")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the test's migration beside the real ones."""
    folder = tmp_path_factory.mktemp("later") / "migrations"
    shutil.copytree(upgrade.MIGRATIONS, folder)
    second = Path(second_schema.__file__)
    shutil.copyfile(second, folder / "versions" / "0002_the_second_schema.py")
    return folder


def start(url: str, migrations: Path, *, die_at: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, UPGRADING, url, migrations, str(die_at)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def statements_of(process: subprocess.Popen[str]) -> list[str]:
    """Let a process open the store; list the statements it took, none when it was killed."""
    output, _ = process.communicate("\n")
    if process.returncode == -signal.SIGKILL:
        return []
    assert process.returncode == 0
    statements: list[str] = json.loads(output)
    return statements


def rows_of(url: str) -> Rows:
    """Read every row of every table."""
    engine = create_engine(make_url(url).set(drivername=_driver(url)))
    with engine.connect() as connection:
        found = {}
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f'SELECT * FROM "{table}"')).mappings()  # noqa: S608
            found[table] = sorted(map(dict, rows), key=repr)
    engine.dispose()
    return found


def _driver(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def upgraded(rows: Rows) -> Rows:
    """Tell what the rows must be in the second schema."""
    after = {table: [dict(row) for row in kept] for table, kept in rows.items()}
    for row in after["ll_run"]:
        row.update(machine="somewhere", task_slug=row["task_slug"] or "")
    for row in after["ll_flow_run_event"]:
        del row["actor"]
    for row in after["ll_tag"]:
        if row["key"] == "team":
            row["value"] = "vera@wagoncab"
    after["ll_param_size"] = [
        {"run_pk": row["run_pk"], "key": row["key"], "size": len(row["value"])}
        for row in after["ll_param"]
    ]
    after["ll_schema_version"] = [{"version_num": "0002"}]
    return {table: sorted(kept, key=repr) for table, kept in after.items()}


def same(found: Rows, expected: Rows) -> bool:
    """Compare with the columns in any order."""

    def plain(rows: Rows) -> dict[str, list[str]]:
        return {
            table: sorted(repr(sorted(row.items())) for row in kept)
            for table, kept in rows.items()
            if table != "sqlite_sequence"
        }

    return plain(found) == plain(expected)


def test_an_upgrade_keeps_every_row_and_a_second_one_does_nothing(
    filled: Filled, migrations: Path
) -> None:
    url = filled.copy()
    before = rows_of(url)
    assert len(before["ll_run"]) > 300
    statements = statements_of(start(url, migrations))
    after = rows_of(url)
    assert "COMMIT" in statements
    assert same(after, upgraded(before))

    again = statements_of(start(url, migrations))
    assert all(statement.startswith(("SELECT", "PRAGMA", "BEGIN")) for statement in again)
    assert same(rows_of(url), after)
    engine = create_engine(make_url(url).set(drivername=_driver(url)))
    with engine.connect() as connection:
        made = set(inspect(connection).get_view_names())
        assert made >= set(VIEWS)
        assert "nights" in made or filled.kind == "postgresql"
        assert connection.execute(text("SELECT count(*) FROM runs")).scalar() == len(
            before["ll_run"]
        )
    engine.dispose()


def test_processes_that_come_at_once_upgrade_once(filled: Filled, migrations: Path) -> None:
    url = filled.copy()
    before = rows_of(url)
    processes = [start(url, migrations) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    statements = [statements_of(process) for process in processes]

    assert sum(any("ll_param_size" in each for each in taken) for taken in statements) == 1
    assert same(rows_of(url), upgraded(before))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="few"), pytest.param(1000, id="all", marks=pytest.mark.deep)]
)
def test_an_upgrade_killed_at_any_statement_has_not_happened_and_comes_off_the_next_time(
    filled: Filled, migrations: Path, kills: int
) -> None:
    statements = statements_of(start(filled.copy(), migrations))
    places = range(1, len(statements) + 1)
    random = Random(20240401)  # noqa: S311 - a repeatable choice, no secret
    chosen = sorted(random.sample(places, min(kills, len(places))))
    url = filled.copy()
    before = rows_of(url)
    for place in chosen:
        assert statements_of(start(url, migrations, die_at=place)) == []
        assert same(rows_of(url), before), statements[place - 1]
    statements_of(start(url, migrations))
    assert same(rows_of(url), upgraded(before))
    print(f"{len(chosen)} of {len(statements)} statements, {filled.kind}")


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_an_upgrade_killed_at_any_moment_has_happened_or_not(
    filled: Filled, migrations: Path
) -> None:
    process = start(filled.copy(), migrations)
    began = time.monotonic()
    statements_of(process)
    takes_s = time.monotonic() - began
    random = Random(20240501)  # noqa: S311
    before = rows_of(filled.url)
    hits = 0
    for _ in range(12):
        url = filled.copy()
        process = start(url, migrations)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(random.random() * takes_s)
        process.kill()
        process.communicate()
        left = rows_of(url)
        has_happened = "ll_param_size" in left
        hits += not has_happened
        assert same(left, upgraded(before) if has_happened else before)
        statements_of(start(url, migrations))
        assert same(rows_of(url), upgraded(before))
    assert hits > 2


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_store_whose_making_was_killed_is_made_the_next_time(
    migrations: Path, tmp_path: Path
) -> None:
    def url(name: str) -> str:
        return f"sqlite:///{tmp_path / name}.db"

    statements = statements_of(start(url("whole"), migrations))
    random = Random(20240601)  # noqa: S311
    for place in sorted(random.sample(range(1, len(statements) + 1), 25)):
        assert statements_of(start(url("killed"), migrations, die_at=place)) == []
        assert rows_of(url("killed")) == {}
    statements_of(start(url("killed"), migrations))
    killed, whole = rows_of(url("killed")), rows_of(url("whole"))
    # Each store has a key of its own, and an experiment Default that is as old as it is.
    for own in ("ll_store_key", "ll_experiment"):
        assert len(killed.pop(own)) == len(whole.pop(own)) == 1
    assert same(killed, whole)


def test_an_upgrade_that_would_lose_rows_is_refused(
    filled: Filled, migrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careless = tmp_path / "migrations"
    shutil.copytree(migrations, careless)
    with (careless / "versions" / "0002_the_second_schema.py").open("a") as file:
        file.write("    op.execute('DELETE FROM ll_run WHERE pk = 2')\n")
    url = filled.copy()
    before = rows_of(url)
    monkeypatch.setattr(upgrade, "HEAD", "0002")
    monkeypatch.setattr(upgrade, "MIGRATIONS", careless)
    # PostgreSQL refuses the statement itself.
    with pytest.raises(IntegrityError if filled.kind == "sqlite" else InvalidInputError):
        Store(url)
    assert same(rows_of(url), before)


@pytest.mark.deep
def test_views_of_ones_own_on_views_of_ours_are_not_dropped(
    postgres: PostgresServer, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.new()
    store = Store(address.text)
    with store.write() as connection:
        connection.execute(text("CREATE VIEW nights AS SELECT run_uuid, status FROM runs"))
    store.close()
    monkeypatch.setattr(upgrade, "HEAD", "0002")
    monkeypatch.setattr(upgrade, "MIGRATIONS", migrations)
    with pytest.raises(StoreVersionError, match=r"nights.*make them again"):
        Store(address.text)
    monkeypatch.undo()
    Store(address.text).close()
