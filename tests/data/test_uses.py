"""Which runs and which model versions used these data: one question, and a command."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import loopline
from loopline.cli import main
from loopline.data import uses
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.registry import Stage

if TYPE_CHECKING:
    from pathlib import Path


def train(data: object, *, model: str = "", context: str = "training", name: str = "") -> str:
    with loopline.start_run(run_name=f"fit {name or model}") as run:
        loopline.log_input(data, context=context, name=name)
        if model:
            loopline.log_text("weights", "model/weights.txt")
    if model:
        loopline.register_model(f"runs:/{run.run_id}/model", model)
    return run.run_id


def loopline_command(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str) -> str:
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["loopline", *arguments])
        patch.setenv("LOOPLINE_URI", str(home))
        with pytest.raises(SystemExit) as ended:
            main()
    written = capsys.readouterr()
    assert not ended.value.code, written.err
    return written.out


def test_runs_and_model_versions_that_used_data_are_one_question_away(trips: pd.DataFrame) -> None:
    first = train(trips, model="taxifare", name="trips")
    second = train(trips, model="taxifare", name="january")
    evaluation = train(trips, context="evaluation", name="trips")
    train(trips[::-1], model="taxifare")
    loopline.registry.transition_stage("taxifare", 2, "Production")

    found = uses(trips)
    assert [run.run_id for run in found.runs] == [evaluation, second, first]
    assert [(run.contexts, run.dataset) for run in found.runs] == [
        (["evaluation"], "trips"),
        (["training"], "january"),
        (["training"], "trips"),
    ]
    assert {one.name for one in found.datasets} == {"trips", "january"}
    assert [(one.version, one.stage, one.run_id) for one in found.versions] == [
        (2, Stage.PRODUCTION, second),
        (1, Stage.NONE, first),
    ]
    few = uses(found.digests[0], limit=1)
    assert (len(few.runs), few.run_count, few.version_count) == (1, 3, 2)


def test_a_run_that_read_data_for_several_things_is_one_row(trips: pd.DataFrame) -> None:
    with loopline.start_run() as run:
        loopline.log_input(loopline.dataset(trips, name="trips"), context="training")
        loopline.log_input(loopline.dataset(trips, name="january"), context="evaluation")
        loopline.log_metrics({"rmse": 3.9, "mae": 2.1}, dataset=loopline.dataset(trips))
    other = train(trips, name="trips")

    found = uses(trips)
    assert [(one.run_id, one.contexts, one.dataset) for one in found.runs] == [
        (other, ["training"], "trips"),
        (
            run.run_id,
            ["evaluation", "metric mae", "metric rmse", "training"],
            "dataset, january, trips",
        ),
    ]
    assert found.run_count == 2
    assert len(uses(trips, limit=1).runs) == 1


def test_a_file_finds_the_runs_that_logged_the_table_read_from_it(taxi_month: Path) -> None:
    by_path = train(taxi_month, name="month")
    by_table = train(pd.read_parquet(taxi_month), name="frame")
    found = uses(taxi_month)
    assert {run.run_id for run in found.runs} == {by_path, by_table}
    assert len(found.digests) == 2


def test_deleted_runs_are_left_out(trips: pd.DataFrame) -> None:
    run_id = train(trips, model="taxifare")
    loopline.delete_run(run_id)
    found = uses(trips)
    assert (found.runs, found.versions) == ([], [])
    loopline.restore_run(run_id)
    assert len(uses(trips).versions) == 1


def test_a_digest_may_be_abbreviated_until_it_is_ambiguous(trips: pd.DataFrame) -> None:
    version = loopline.dataset(trips)
    train(version)
    assert uses(version.digest[:8]).digests == [version.digest]
    assert uses("0" * 8).runs == []
    twin = loopline.records.tracking.Dataset(name="twin", digest=version.digest[:20] + "0" * 44)
    train(twin)
    with pytest.raises(NotFoundError, match="Give more digits"):
        uses(version.digest[:8])
    assert uses(version.digest).digests == [version.digest]


def test_what_is_neither_data_nor_digest_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="neither a path that exists nor a digest"):
        uses(str(tmp_path / "trips.parquet"))
    with pytest.raises(InvalidInputError, match="limit"):
        uses("0" * 8, limit=0)


def test_searches_find_runs_by_digest_name_and_context(trips: pd.DataFrame) -> None:
    run_id = train(trips, name="green taxi 2022-01")
    train(trips[::-1], context="evaluation", name="other")
    digest = loopline.dataset(trips).digest
    for condition in (
        f"dataset.digest = '{digest}'",
        f"datasets.digest LIKE '{digest[:12]}%'",
        "dataset.name = 'green taxi 2022-01' and dataset.context = 'training'",
    ):
        found = loopline.search_runs(filter_string=condition, output_format="list")
        assert [run.run_id for run in found] == [run_id], condition


def test_the_command_line_describes_data(
    trips: pd.DataFrame, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trips.parquet"
    trips.to_parquet(path)
    text = loopline_command(capsys, home, "data", "describe", str(path))
    assert "Harlem (3)" in text
    assert loopline.dataset(path).digest in text
    found: Any = json.loads(loopline_command(capsys, home, "data", "describe", str(path), "--json"))
    assert found["rows"] == 6
    assert found["profile"]["fare"]["quantiles"]["50%"] == 8.75


def test_the_command_line_shows_who_used_data(
    trips: pd.DataFrame, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trips.parquet"
    trips.to_parquet(path)
    run_id = train(path, model="taxifare")
    loopline.get_run(run_id)  # Everything is in the store.
    text = loopline_command(capsys, home, "data", "uses", str(path))
    assert run_id[:8] in text
    assert "taxifare" in text
    digest = loopline.dataset(path).digest
    found: Any = json.loads(loopline_command(capsys, home, "data", "uses", digest[:8], "--json"))
    assert [run["run_id"] for run in found["runs"]] == [run_id]
    assert found["versions"][0]["version"] == 1
