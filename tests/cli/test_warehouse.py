"""``loopline warehouse``, as people type it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from click.testing import CliRunner

from loopline.cli import cli
from loopline.errors import TableSchemaError

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_files_are_loaded_and_asked(tmp_path: Path) -> None:
    trips = pd.DataFrame({"zone": ["Harlem", "Bronx"], "fare": [7.0, 38.5]})
    trips.to_parquet(tmp_path / "a.parquet")
    trips.to_csv(tmp_path / "b.csv", index=False)
    at = ("--warehouse", str(tmp_path / "taxi.duckdb"))
    files = [str(tmp_path / "a.parquet"), str(tmp_path / "b.csv")]

    assert "4 rows added" in run("warehouse", "load", "trips", *files, *at)
    assert json.loads(run("warehouse", "tables", "--json", *at)) == ["trips"]
    assert json.loads(run("warehouse", "schema", "trips", "--json", *at)) == {
        "zone": "string", "fare": "double",
    }  # fmt: skip
    sql = "SELECT DISTINCT * FROM trips WHERE fare > $least"
    found = run("warehouse", "query", sql, "--param", "least=10", "--json", *at)
    assert json.loads(found) == [{"zone": "Bronx", "fare": 38.5}]
    assert "Harlem" in run("warehouse", "query", "SELECT * FROM trips", *at)
    assert "2 rows put" in run("warehouse", "load", "trips", files[0], "--replace", *at)

    trips.assign(fare="dear").to_parquet(tmp_path / "c.parquet")
    with pytest.raises(TableSchemaError, match=r"fare: was double, came as .*first bad row 0"):
        run("warehouse", "load", "trips", str(tmp_path / "c.parquet"), *at)
