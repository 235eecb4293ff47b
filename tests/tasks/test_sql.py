"""Queries of real databases: DuckDB, SQLite and PostgreSQL."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from loopline import Flow, task
from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError
from loopline.records.operations import ListFlowRuns, ListTaskRuns
from loopline.tasks import DuckDBQuery, ParquetTable, SQLQuery

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import PostgresServer

TRIPS = [
    "CREATE TABLE trips (zone TEXT PRIMARY KEY, fare REAL)",
    "INSERT INTO trips VALUES ('Bronx', 38.5), ('Harlem', 7.0)",
]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'trips.db'}"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new_empty().text.replace("postgresql:", "postgresql+psycopg:", 1)


def test_duckdb_answers_in_a_flow_from_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "trips.parquet"
    pd.DataFrame({"zone": ["Harlem", "Bronx"], "fare": [7.0, 38.5]}).to_parquet(path)
    with Flow("ask") as flow:
        most = DuckDBQuery(f"FROM '{path}' ORDER BY fare")()
    assert flow.run().result[most].result == [
        {"zone": "Harlem", "fare": 7.0},
        {"zone": "Bronx", "fare": 38.5},
    ]


def test_duckdb_asks_tables_that_other_tasks_made() -> None:
    @task
    def trips() -> pd.DataFrame:
        return pd.DataFrame({"fare": [7.0, 9.0]})

    with Flow("ask") as flow:
        small = DuckDBQuery("SELECT fare + 1 AS fare FROM trips", fetch="parquet")
        mean = DuckDBQuery("SELECT avg(fare) FROM small", fetch="value")
        answer = mean(tables={"small": small(tables={"trips": trips()})})
    assert flow.run().result[answer].result == 9.0


def test_duckdb_keeps_what_several_statements_make_in_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "trips.duckdb")
    assert DuckDBQuery(TRIPS, path, fetch="none").run() is None
    ask = DuckDBQuery("SELECT fare FROM trips WHERE zone = ?", path, fetch="one", read_only=True)
    assert ask.run(params=["Bronx"]) == {"fare": 38.5}
    assert ask.run(params=["Queens"]) is None


@pytest.mark.parametrize("fetch", ["pandas", "arrow", "parquet"])
def test_a_table_comes_in_the_form_asked_for(fetch: str) -> None:
    found = DuckDBQuery("SELECT range AS n FROM range(3)", fetch=fetch).run()
    kind = {"pandas": pd.DataFrame, "arrow": pa.Table, "parquet": ParquetTable}[fetch]
    assert isinstance(found, kind)
    values = found.arrow()["n"].to_pylist() if fetch == "parquet" else list(found["n"])
    assert [int(str(value)) for value in values] == [0, 1, 2]


def test_a_parquet_result_is_a_file_that_the_store_keeps(tmp_path: Path) -> None:
    with Flow("ask") as flow:
        DuckDBQuery("SELECT range AS n FROM range(5000)", fetch="parquet")()
    assert flow.run().is_successful()
    recorder = get_recorder()
    recorder.flush()
    (run,) = recorder.backend.call(ListFlowRuns()).flow_runs
    (kept,) = recorder.backend.call(ListTaskRuns(flow_run_id=run.flow_run_id))
    table = pickle.loads(b"".join(recorder.backend.read_blob(kept.result)))  # noqa: S301 - our own
    assert (table.rows, table.columns) == (5000, ["n"])
    table.write(tmp_path / "n.parquet")
    assert len(pd.read_parquet(tmp_path / "n.parquet")) == len(table.pandas()) == 5000


def test_a_form_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="Use one of rows, one"):
        DuckDBQuery("SELECT 1", fetch="table")


def test_a_database_answers_rows_one_row_a_value_or_a_table(url: str) -> None:
    SQLQuery(TRIPS, url, fetch="none").run()
    ask = "SELECT zone, fare FROM trips ORDER BY zone"
    assert SQLQuery(ask, url).run()[1] == {"zone": "Harlem", "fare": 7.0}
    assert SQLQuery(ask, url, fetch="one").run() == {"zone": "Bronx", "fare": 38.5}
    count = SQLQuery("SELECT count(*) FROM trips WHERE fare > :least", url, fetch="value")
    assert count.run(params={"least": 10}) == 1
    assert list(SQLQuery(ask, url, fetch="pandas").run()["fare"]) == [38.5, 7.0]


def test_many_rows_go_in_at_once(url: str) -> None:
    SQLQuery(TRIPS, url, fetch="none").run()
    insert = SQLQuery("INSERT INTO trips VALUES (:zone, :fare)", url, fetch="none")
    insert.run(params=[{"zone": f"zone {n}", "fare": n} for n in range(100)])
    assert SQLQuery("SELECT count(*) FROM trips", url, fetch="value").run() == 102


def test_statements_happen_all_or_not_at_all(url: str) -> None:
    SQLQuery(TRIPS, url, fetch="none").run()
    both = ["DELETE FROM trips WHERE zone = 'Bronx'", "INSERT INTO trips VALUES ('Harlem', 1)"]
    with pytest.raises(IntegrityError):
        SQLQuery(both, url, fetch="none").run()
    assert SQLQuery("SELECT count(*) FROM trips", url, fetch="value").run() == 2


def test_rows_of_a_statement_without_any_are_no_answer(url: str) -> None:
    with pytest.raises(InvalidInputError, match='fetch="none"'):
        SQLQuery(TRIPS, url).run()


def test_a_password_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPS_DB", str(tmp_path / "here.db"))
    SQLQuery(TRIPS, "sqlite:///${TRIPS_DB}", fetch="none").run()
    assert (tmp_path / "here.db").exists()


def test_a_value_is_not_told_in_an_error(tmp_path: Path) -> None:
    ask = SQLQuery("SELECT * FROM nowhere WHERE key = :key", f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(OperationalError) as failed:
        ask.run(params={"key": "hunter2hunter2"})
    assert "hunter2" not in str(failed.value)
