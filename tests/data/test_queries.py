"""Answers of SQL queries as data versions, from every kind of connection."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

import loopline
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

duckdb: Any = import_module("duckdb")

QUERY = "SELECT zone, fare, distance FROM trips WHERE fare > 5 ORDER BY fare"


@pytest.fixture
def database(trips: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "trips.db"
    connection = sqlite3.connect(path)
    trips.to_sql("trips", connection, index=False)
    connection.close()
    return path


def test_a_query_is_the_table_that_it_answers_on_every_connection(
    trips: pd.DataFrame, database: Path
) -> None:
    expected = trips[trips["fare"] > 5].sort_values("fare")[["zone", "fare", "distance"]]
    digest = loopline.dataset(expected).digest

    duck = duckdb.connect()
    duck.register("trips", trips)
    lite = sqlite3.connect(database)
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        for where in (duck, lite, engine, connection):
            version = loopline.dataset(QUERY, connection=where, name="dear trips")
            assert version.digest == digest, where
            assert version.source.endswith(f": {QUERY}")
            assert (version.kind, version.rows) == ("table", 5)
    assert loopline.dataset(duck.sql(QUERY)).digest == digest
    lite.close()
    duck.close()
    engine.dispose()


def test_placeholders_take_their_values_in_the_drivers_form(database: Path) -> None:
    lite = sqlite3.connect(database)
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    asked = "SELECT fare FROM trips WHERE zone = "
    by_place = loopline.dataset(f"{asked} ?", connection=lite, params=["Harlem"])
    by_name = loopline.dataset(f"{asked} :zone", connection=engine, params={"zone": "Harlem"})
    assert by_place.rows == 3
    assert by_place.digest == by_name.digest
    lite.close()
    engine.dispose()


def test_passwords_of_databases_are_not_recorded(database: Path) -> None:
    from loopline.data.queries import query_source

    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    assert query_source(QUERY, engine) == f"sqlite:///{database}: {QUERY}"
    secret = sqlalchemy.URL.create("sqlite", "vera", "canary", "db", database="trips")
    guarded = sqlalchemy.create_mock_engine(secret, lambda *_: None)
    guarded.url = secret  # type: ignore[attr-defined]
    assert "canary" not in query_source(QUERY, guarded)


def test_what_answers_no_rows_is_refused(database: Path) -> None:
    lite = sqlite3.connect(database)
    for where in (lite, sqlalchemy.create_engine("sqlite://")):
        with pytest.raises(InvalidInputError, match="Give a SELECT"):
            loopline.dataset("CREATE TABLE other (fare REAL)", connection=where)
    lite.close()
    with pytest.raises(InvalidInputError, match="connection"):
        loopline.dataset(QUERY, connection=object())
    with pytest.raises(InvalidInputError, match="text of a query"):
        loopline.dataset({"fare": [1]}, connection=object())


def test_an_answer_without_rows_is_an_empty_table(database: Path) -> None:
    lite = sqlite3.connect(database)
    version = loopline.dataset("SELECT fare, zone FROM trips WHERE fare < 0", connection=lite)
    assert (version.rows, list(version.columns)) == (0, ["fare", "zone"])
    lite.close()
