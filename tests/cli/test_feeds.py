"""``loopline feeds``, as people type it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from click.testing import CliRunner

import loopline
from loopline.backend.recorder import close_recorders
from loopline.cli import cli
from loopline.errors import BatchRefusedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    folder = tmp_path / "home"
    monkeypatch.setenv("LOOPLINE_URI", str(folder))
    loopline.set_tracking_uri(None)
    loopline.set_experiment("wagoncab taxifare")
    yield folder
    close_recorders()


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout


def trips(day: int) -> pd.DataFrame:
    times = pd.date_range(f"2022-03-{day:02d}", periods=3, freq="h")
    return pd.DataFrame({"trip_id": [f"{day}-{i}" for i in range(3)], "pickup": times, "fare": 7.0})


def test_a_feed_is_looked_at_checked_and_forgotten(tmp_path: Path) -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", trips(2))
    rules = {"fare": {"min": 0}}
    taxi = loopline.Feed(
        "taxi", warehouse, table="trips", order_by="pickup", key="trip_id", contract=rules
    )

    assert json.loads(run("feeds", "check", "--json")) == [{"feed": "taxi", "rows": 3, "error": ""}]
    assert "taxi: 0 new rows" in run("feeds", "check", "taxi", code=3)
    warehouse.append("trips", trips(1))
    assert "taxi: 3 new rows, 3 of them late" in run("feeds", "check")
    (listed,) = json.loads(run("feeds", "list", "--json"))
    assert (listed["rows"], listed["arrivals"]) == (6, 2)
    assert "key trip_id" in run("feeds", "show", "taxi")
    assert json.loads(run("feeds", "show", "taxi", "--json"))["report"]["late"] == 3

    out = tmp_path / "new.parquet"
    said = run("feeds", "new", "taxi", "taxifare_model", "--output", str(out))
    assert "6 rows of taxi are new for taxifare_model (no version in Production)" in said
    noted = CliRunner().invoke(cli, ["feeds", "new", "taxi", "taxifare_model"]).stderr
    assert noted == "No model of this name is registered; see: loopline models list\n"
    assert len(pd.read_parquet(out)) == 6
    found = json.loads(run("feeds", "new", "taxi", "taxifare_model", "--json"))
    assert (found["rows"], found["digest"]) == (6, taxi.all().digest)

    warehouse.append("trips", trips(3).assign(fare=-1.0))
    assert "Error: The feed 'taxi' refused" in CliRunner().invoke(cli, ["feeds", "check"]).output
    (refused,) = json.loads(run("feeds", "refused", "taxi", "--json"))
    assert refused["problems"] == ["column fare: 3 rows lie below 0, such as -1.0"]
    assert refused["batch"] in run("feeds", "refused", "taxi")
    with pytest.raises(BatchRefusedError):
        taxi.check()

    assert "6 rows stay in" in run("feeds", "delete", "taxi")
    with pytest.raises(NotFoundError):
        run("feeds", "show", "taxi")
