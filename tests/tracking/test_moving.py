"""Runs move between experiments with all they have, and are copied without their files' bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select

import loopline
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import get_recorder
from loopline.errors import AlreadyExistsError, ConflictError, InvalidInputError, NotFoundError
from loopline.records.operations import CopyRun
from loopline.records.tracking import RunStatus
from loopline.store import schema
from loopline.store.moving import run_tables

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.tracking.run import ActiveRun

pytestmark = pytest.mark.usefixtures("home")


def trained(name: str = "gbm") -> ActiveRun:
    """Make a run with something of every kind, and a child."""
    with loopline.start_run(run_name=name, tags={"city": "New York"}) as run:
        loopline.log_params({"model": "gbm", "depth": 3})
        loopline.log_metrics({"loss": np.linspace(1, 0, 500), "rmse": 3.9})
        loopline.log_text("fares rose", "notes/why.txt")
        loopline.log_input(loopline.dataset(np.zeros(3), name="trips"), context="training")
        with loopline.start_run(run_name="fold", nested=True):
            loopline.log_metric("rmse", 4.0)
    return run


def children(run_id: str) -> list[str]:
    return [run.run_id for run in loopline.find_runs(f"attributes.parent_run_id = '{run_id}'")]


def rows_of(run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Read every row of a run, table by table, but for what must differ in a copy."""
    backend = get_recorder().backend
    assert isinstance(backend, LocalBackend)
    with backend.store.read() as connection:
        pk = connection.execute(
            select(schema.run.c.pk).where(schema.run.c.run_id == run_id)
        ).scalar_one()
        return {
            table.name: [
                {key: value for key, value in row._mapping.items() if key not in {"run_pk", "id"}}
                for row in connection.execute(select(table).where(table.c.run_pk == pk))
            ]
            for table in run_tables()
        }


def blobs(home: Path) -> set[Path]:
    return {path for path in (home / "blobs").rglob("*") if path.is_file()}


def test_a_moved_run_is_found_where_it_is_and_with_all_it_has() -> None:
    run = trained()
    before = loopline.get_run(run.run_id)
    (child,) = children(run.run_id)
    (moved,) = loopline.move_runs(run.run_id, "night shift")
    after = loopline.get_run(run.run_id)
    assert moved == after
    assert after.experiment_name == "night shift"
    assert (after.params, after.metrics, after.tags) == (before.params, before.metrics, before.tags)
    assert loopline.get_run(child).experiment_name == "night shift"
    for filter_string in (
        "metrics.rmse < 4",
        "params.model = 'gbm'",
        "tags.city = 'New York'",
        "datasets.name = 'trips'",
    ):
        here, there = (
            loopline.find_runs(filter_string, experiment_names=[name])
            for name in ("wagoncab taxifare", "night shift")
        )
        assert (len(here), [one.run_id for one in there]) == (0, [run.run_id]), filter_string
    assert len(loopline.get_metric_history(run.run_id, "loss")) == 500
    assert loopline.load_text(f"runs:/{run.run_id}/notes/why.txt") == "fares rose"


def test_a_run_that_is_moved_while_it_runs_goes_on_in_its_new_place() -> None:
    with loopline.start_run() as run:
        loopline.log_metric("rmse", 4.0, step=0)
        loopline.move_runs([run.run_id], "night shift")
        loopline.log_metric("rmse", 3.0, step=1)
        loopline.log_param("model", "gbm")
    (found,) = loopline.find_runs(
        "metrics.rmse = 3 and params.model = 'gbm'", experiment_names=["night shift"]
    )
    assert (found.run_id, found.status) == (run.run_id, RunStatus.FINISHED)


def test_moving_is_all_or_nothing() -> None:
    first, second = trained("first"), trained("second")
    loopline.delete_run(second.run_id)
    with pytest.raises(InvalidInputError, match="restore_run"):
        loopline.move_runs([first.run_id, second.run_id], "night shift")
    with pytest.raises(NotFoundError):
        loopline.move_runs([first.run_id, "f" * 32], "night shift")
    with pytest.raises(NotFoundError):
        loopline.move_runs(first.run_id, experiment_id="77")
    with pytest.raises(InvalidInputError, match="Say where"):
        loopline.move_runs(first.run_id)
    assert loopline.get_run(first.run_id).experiment_name == "wagoncab taxifare"
    assert loopline.get_experiment_by_name("night shift") is None


def test_runs_go_to_no_deleted_experiment() -> None:
    run = trained()
    place = loopline.create_experiment("night shift")
    loopline.delete_experiment(place)
    for go in (loopline.move_runs, loopline.copy_run):
        with pytest.raises(InvalidInputError, match="restore_experiment"):
            go(run.run_id, experiment_id=place)


def test_children_stay_when_they_are_told_to() -> None:
    run = trained()
    loopline.move_runs(run.run_id, "night shift", with_children=False)
    (child,) = children(run.run_id)
    assert loopline.get_run(child).experiment_name == "wagoncab taxifare"


def test_a_copy_has_every_row_of_every_table_and_no_new_bytes(home: Path) -> None:
    run = trained()
    loopline.flush()
    kept = blobs(home)
    copy = loopline.copy_run(run.run_id, "night shift", run_name="gbm again")
    assert blobs(home) == kept
    before, after = rows_of(run.run_id), rows_of(copy.run_id)
    place = int(copy.experiment_id)
    for name, rows in before.items():
        expected = [
            {**row, "experiment_id": place} if "experiment_id" in row else row for row in rows
        ]
        if name == "ll_tag":
            changed = {"loopline.copied_from": run.run_id, "mlflow.runName": "gbm again"}
            tags = {row["key"]: row["value"] for row in rows} | changed
            assert {row["key"]: row["value"] for row in after[name]} == tags
        elif name == "ll_run_document":  # Holds the tags, too; read below.
            assert len(after[name]) == 1
        elif name == "ll_run_event":
            assert [row["reason"] for row in after[name]] == [
                "",
                "",
                f"copied from run {run.run_id}",
            ]
        else:
            assert after[name] == expected, name
    assert {name for name, rows in after.items() if rows} >= {
        *("ll_param", "ll_tag", "ll_metric", "ll_metric_block", "ll_artifact", "ll_run_input"),
    }
    original = loopline.get_run(run.run_id)
    assert (copy.name, copy.status) == ("gbm again", RunStatus.FINISHED)
    assert (copy.params, copy.metrics) == (original.params, original.metrics)
    assert copy.tags == {row["key"]: row["value"] for row in after["ll_tag"]}
    assert loopline.load_text(f"runs:/{copy.run_id}/notes/why.txt") == "fares rose"
    assert loopline.get_metric_history(copy.run_id, "loss").values == (
        loopline.get_metric_history(run.run_id, "loss").values
    )


def test_a_copy_is_a_run_of_its_own() -> None:
    run = trained()
    copy = loopline.copy_run(run.run_id)
    assert copy.experiment_name == "wagoncab taxifare"
    loopline.delete_run(run.run_id)
    with loopline.start_run(run_id=copy.run_id):
        loopline.log_metric("rmse", 3.0, step=1)
        loopline.log_text("changed", "notes/why.txt")
    loopline.restore_run(run.run_id)
    assert loopline.get_run(run.run_id).metrics["rmse"].value == 3.9
    assert loopline.load_text(f"runs:/{run.run_id}/notes/why.txt") == "fares rose"
    assert loopline.get_run(copy.run_id).metrics["rmse"].count == 2


def test_children_are_copied_as_children_of_the_copy() -> None:
    run = trained()
    alone = loopline.copy_run(run.run_id)
    assert children(alone.run_id) == []
    whole = loopline.copy_run(run.run_id, "night shift", with_children=True)
    (child,) = [loopline.get_run(run_id) for run_id in children(whole.run_id)]
    assert (child.name, child.experiment_name) == ("fold", "night shift")
    assert child.tags["mlflow.parentRunId"] == whole.run_id
    fold = loopline.copy_run(child.run_id)
    assert (fold.parent_run_id, "mlflow.parentRunId" in fold.tags) == (None, False)
    assert fold.tags["loopline.copied_from"] == child.run_id
    parent = loopline.get_parent_run(child.run_id)
    assert parent is not None
    assert parent.run_id == whole.run_id
    assert loopline.get_parent_run(fold.run_id) is None


def test_a_run_that_has_not_ended_is_not_copied() -> None:
    with loopline.start_run() as run, pytest.raises(ConflictError, match="move_runs"):
        loopline.copy_run(run.run_id, "night shift")
    run = trained()
    with pytest.raises(AlreadyExistsError, match="new_run_id"):
        get_recorder().call(CopyRun(run_id=run.run_id, new_run_id=run.run_id))


def test_every_table_of_runs_is_moved_and_copied() -> None:
    tables = {table.name for table in run_tables()}
    of_runs = {
        table.name
        for table in schema.metadata.tables.values()
        if any(key.target_fullname == "ll_run.pk" for key in table.foreign_keys)
    }
    assert tables == of_runs - {"ll_writer_run"}
