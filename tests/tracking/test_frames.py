"""A search becomes a DataFrame by columns, whatever pages it came in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

import loopline
from loopline.records.base import Lifecycle
from loopline.records.tracking import RunStatus, RunTable
from loopline.tracking import runs as runs_module
from loopline.tracking.frames import joined, runs_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def page(first: int, count: int, metrics: dict[str, list[float | None]]) -> RunTable:
    numbers = range(first, first + count)
    return RunTable(
        run_ids=[f"r{number}" for number in numbers],
        experiment_ids=["0"] * count,
        names=["n"] * count,
        statuses=[RunStatus.FINISHED] * count,
        lifecycles=[Lifecycle.DELETED if number % 2 else Lifecycle.ACTIVE for number in numbers],
        start_ms=list(numbers),
        end_ms=[None] * count,
        metrics=metrics,
    )


def test_pages_are_put_together_with_the_keys_of_both() -> None:
    table = joined([page(0, 2, {"a": [1.0, None]}), page(2, 2, {"b": [3.0, 4.0]})])
    assert table.run_ids == ["r0", "r1", "r2", "r3"]
    assert table.metrics == {"a": [1.0, None, None, None], "b": [None, None, 3.0, 4.0]}


def test_deleted_runs_are_found_where_they_are_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.is_dir()
    monkeypatch.setattr(runs_module, "TABLE_PAGE", 2)
    runs = []
    for number in range(6):
        with loopline.start_run() as run:
            loopline.log_metric("rmse", float(number))
        runs.append(run.run_id)
    for run_id in runs[::2]:
        loopline.delete_run(run_id)
    for view, expected in ((1, runs[1::2]), (2, runs[::2]), (3, runs)):
        found = loopline.search_runs(run_view_type=view, order_by=["metrics.rmse"])
        assert list(found["run_id"]) == expected
        records = loopline.Client().search_runs(
            run_view_type=view, order_by=["metrics.rmse"], max_results=len(expected)
        )
        assert [run.run_id for run in records] == expected


def test_a_clock_set_to_anything_makes_no_frame_fail() -> None:
    table = RunTable(
        run_ids=["r"],
        experiment_ids=["0"],
        names=["n"],
        statuses=[RunStatus.RUNNING],
        lifecycles=[Lifecycle.ACTIVE],
        start_ms=[2**63 - 1],
        end_ms=[None],
    )
    frame = runs_frame(table, "pandas")
    assert frame["start_time"].isna().all()


def test_a_frame_has_mlflows_columns_and_types(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.is_dir()
    monkeypatch.setattr(runs_module, "TABLE_PAGE", 2)  # Several pages for a few runs.
    for number in range(5):
        with loopline.start_run(run_name=f"run {number}"):
            loopline.log_metric("rmse", float(number))
            if number % 2:
                loopline.log_metrics({"odd": math.inf, "nothing": math.nan})
                loopline.log_param("model", "gbm")
    frame = loopline.search_runs(order_by=["metrics.rmse DESC"])
    assert frame["metrics.rmse"].tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert frame["metrics.odd"].isna().tolist() == [True, False, True, False, True]
    assert frame["metrics.nothing"].isna().all()
    assert frame["params.model"].isna().tolist() == [True, False, True, False, True]
    assert frame["start_time"].dtype == "datetime64[us, UTC]"
    assert list(frame.columns[:6]) == [
        *("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"),
    ]
    assert (frame["end_time"] >= frame["start_time"]).all()
    assert len(loopline.search_runs(max_results=3)) == 3
    loopline.delete_run(frame["run_id"][0])
    assert loopline.search_runs(run_view_type=2)["run_id"].tolist() == [frame["run_id"][0]]
    assert len(loopline.search_runs(run_view_type=3)) == 5
    empty = loopline.search_runs(filter_string="metrics.rmse > 99")
    assert isinstance(empty, pd.DataFrame)
    assert (len(empty), empty.columns[0]) == (0, "run_id")


def test_a_history_is_read_as_arrays(home: Path) -> None:
    assert home.is_dir()
    with loopline.start_run() as run:
        loopline.log_metrics({"loss": [0.5, 0.25]}, steps=[3, 4])
    arrays = loopline.Client().get_metric_arrays(run.run_id, "loss")
    assert (arrays.steps.tolist(), arrays.values.tolist()) == ([3, 4], [0.5, 0.25])  # noqa: PD011 - a tuple of arrays
