"""Importing a folder of MLflow's: everything, once, without touching it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from tests.transfer.mlruns_story import BEGAN_MS, FINISHED, RUNNING, Mlruns, fingerprint

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.facts import Batch, TagsSet
from loopline.records.operations import (
    DescribeRuns,
    GetExperiment,
    GetMetricHistory,
    GetModel,
    GetRun,
    ListExperiments,
    ListRunEvents,
    ListVersionEvents,
    ListVersions,
    RegisterVersion,
    ResolveModel,
    SearchRuns,
    SetAlias,
    SetModelTags,
    TransitionStage,
)
from loopline.records.registry import Stage
from loopline.records.tracking import RunStatus
from loopline.transfer.importer import Options, import_from
from loopline.transfer.open_source import open_mlflow

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import Report

BEST, CHILD, DELETED, GOING_ON, TO_COME, TRASHED = (letter * 32 for letter in "abcdef")


def bring_in(store: Mlruns, backend: Backend, **options: object) -> Report:
    return import_from(open_mlflow(str(store.root)), backend, Options(**options))  # type: ignore[arg-type]


def new_rows(report: Report) -> dict[str, int]:
    return {row.what: row.new for row in report.rows if row.new}


def test_everything_is_counted_on_both_sides_and_equal(store: Mlruns, home: Backend) -> None:
    report = bring_in(store, home)
    assert report.equal, report.differences
    assert {row.what: (row.source, row.here) for row in report.rows} == {
        "experiments": (3, 3),
        "experiment tags": (2, 2),
        "runs": (6, 6),
        "deleted runs": (2, 2),
        "params": (5, 5),
        "tags": (10, 10),
        "metrics": (7, 7),
        "metric points": (12, 12),
        "inputs": (1, 1),
        "files": (3, 3),
        "file bytes": (20, 20),
        "registered models": (1, 1),
        "model tags": (1, 1),
        "model versions": (2, 2),
        "version tags": (1, 1),
        "version stages": (2, 2),
        "version files": (4, 4),
        "aliases": (1, 1),
    }
    assert {(left.what, left.count) for left in report.left_out} == {
        ("repeated metric points", 1),
    }


def test_a_run_has_all_it_had(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    run = home.call(GetRun(run_id=BEST))
    assert (run.name, run.user, run.status) == ("párent", "ada", RunStatus.FINISHED)
    assert (run.start_ms, run.end_ms) == (BEGAN_MS, BEGAN_MS + 60_000)
    assert run.params == {"model": "gbm", "depth": "7", "lines": "one\r\ntwo", "empty": ""}
    assert run.tags["多"] == "ключ"
    assert run.tags["night/shift"] == "yes"
    assert run.data.metrics["rmse"] == 3.25
    events = home.call(ListRunEvents(run_id=BEST))
    assert [(event.status, event.at_ms) for event in events] == [
        (RunStatus.RUNNING, BEGAN_MS),
        (RunStatus.FINISHED, BEGAN_MS + 60_000),
    ]
    (described,) = home.call(DescribeRuns(run_ids=[BEST]))
    (read,) = described.inputs
    assert (read.context, read.dataset.name, read.dataset.rows) == ("training", "green", 4)
    assert (read.dataset.source, read.dataset.columns) == (
        "/data/green 2022.csv",
        {"distance": "double"},
    )


def test_every_point_is_kept_nan_and_infinities_too(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    history = home.call(GetMetricHistory(run_id=BEST, key="odd"))
    assert math.isnan(history.values[0])
    assert history.values[1:] == [math.inf, -math.inf, 1.5]
    assert home.call(GetMetricHistory(run_id=BEST, key="rmse")).steps == [0, 2, 5]
    assert home.call(GetMetricHistory(run_id=BEST, key="before/zero")).steps == [-3]
    assert home.call(GetMetricHistory(run_id=BEST, key="old")).steps == [0]
    assert home.call(GetMetricHistory(run_id=BEST, key="again")).total == 1


def test_runs_stay_nested_deleted_running_and_scheduled(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    assert home.call(GetRun(run_id=CHILD)).parent_run_id == BEST
    assert home.call(GetRun(run_id=DELETED)).lifecycle == "deleted"
    assert home.call(GetRun(run_id=GOING_ON)).status == RunStatus.RUNNING
    assert home.call(GetRun(run_id=TO_COME)).status == RunStatus.SCHEDULED
    trashed = home.call(GetExperiment(name="gone"))
    assert trashed.lifecycle == "deleted"
    assert home.call(GetRun(run_id=TRASHED)).experiment_id == trashed.experiment_id
    found = home.call(SearchRuns(filter="metrics.rmse < 9")).runs
    assert {run.run_id for run in found} == {BEST, GOING_ON}


def test_a_run_that_goes_on_elsewhere_is_never_called_lost(store: Mlruns, home: Backend) -> None:
    from loopline.records.operations import CloseLostRuns

    bring_in(store, home)
    assert home.call(CloseLostRuns(silent_s=-1.0)) == []
    assert home.call(GetRun(run_id=GOING_ON)).status == RunStatus.RUNNING


def test_experiments_keep_ids_tags_and_times(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    experiment = home.call(GetExperiment(name="táxi fares ☂"))
    assert experiment.experiment_id == "1"
    assert experiment.tags == {"team": "cabs", "note": "two\nlines"}
    assert (experiment.created_ms, experiment.updated_ms) == (BEGAN_MS, BEGAN_MS + 7)


def test_an_id_that_is_taken_or_drawn_by_lot_is_told(store: Mlruns, home: Backend) -> None:
    from loopline.records.operations import EnsureExperiment

    home.call(EnsureExperiment(name="ours"))
    store.experiment("954650323313309279", "drawn by lot")
    report = bring_in(store, home)
    assert report.equal
    names = {e.name: e.experiment_id for e in home.call(ListExperiments(include_deleted=True))}
    assert report.experiment_ids == {
        "1": names["táxi fares ☂"],
        "954650323313309279": names["drawn by lot"],
    }
    assert int(names["drawn by lot"]) < 100


def test_versions_keep_their_numbers_stages_and_aliases(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    model = home.call(GetModel(name="fare"))
    assert (model.description, model.aliases) == ("what a ride costs", {"best": 3})
    assert model.tags == {"owner": "cabs"}
    assert (model.created_ms, model.updated_ms) == (BEGAN_MS, BEGAN_MS + 500)
    three, one = home.call(ListVersions(name="fare"))
    assert (three.version, three.stage, three.description) == (3, Stage.PRODUCTION, "number 3")
    assert (one.version, one.stage, one.tags) == (1, Stage.ARCHIVED, {"validated": "yes"})
    assert (one.run_id, one.artifact_path, one.actor) == (BEST, "model", "ada")
    assert one.params["model"] == "gbm"
    found = home.call(ResolveModel(name="fare", stage="Production"))
    assert found.version.version == 3
    assert [file.path for file in found.files] == ["MLmodel", "model.bin"]
    moves = home.call(ListVersionEvents(name="fare"))
    assert [(move.version, move.kind, move.after) for move in reversed(moves)] == [
        (1, "created", ""),
        (1, "stage", "Archived"),
        (3, "created", ""),
        (3, "stage", "Production"),
    ]


def test_the_number_of_a_deleted_version_is_never_used_again(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    made = home.call(RegisterVersion(name="fare", run_id=BEST, artifact_path="model"))
    assert made.version == 5


def test_the_source_is_only_read(store: Mlruns, home: Backend) -> None:
    before = fingerprint(store.root)
    bring_in(store, home)
    bring_in(store, home)
    assert fingerprint(store.root) == before


def test_a_second_import_adds_nothing(store: Mlruns, home: Backend) -> None:
    first = bring_in(store, home)
    again = bring_in(store, home)
    assert again.equal
    assert new_rows(again) == {}
    assert [row.here for row in again.rows] == [row.here for row in first.rows]
    assert len(home.call(ListVersionEvents(name="fare"))) == 4
    assert len(home.call(ListRunEvents(run_id=BEST))) == 2


def test_a_later_import_adds_what_is_new(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    fares = store.root / "1"
    (fares / GOING_ON / "metrics" / "rmse").write_text("9 7.5 0\n10 6.5 1\n11 5.5 2\n")
    store.run(fares, GOING_ON, name="going on", status=FINISHED, params={"late": "1"})
    new = store.run(fares, "9" * 32, name="new", files={"model/MLmodel": "flavors: {}\n"})
    store.version("fare", 5, new, stage="Staging")
    report = bring_in(store, home)
    assert report.equal, report.differences
    assert new_rows(report) == {
        "runs": 1,
        "params": 1,
        "tags": 1,
        "metric points": 2,
        "files": 1,
        "file bytes": 12,
        "model versions": 1,
        "version stages": 1,
        "version files": 1,
    }
    run = home.call(GetRun(run_id=GOING_ON))
    assert (run.status, run.end_ms) == (RunStatus.FINISHED, BEGAN_MS + 60_000)
    assert (run.metrics["rmse"].count, run.data.metrics["rmse"]) == (3, 5.5)


def edit_here(home: Backend) -> None:
    """Change an imported run and version as people do."""
    fact = TagsSet(run_id=BEST, tags={"night/shift": "no", "ours": "too"})
    home.send(Batch(writer="7" * 32, start=0, end=1, facts=[fact]))
    home.call(TransitionStage(name="fare", version=1, stage="Staging"))
    home.call(SetAlias(name="fare", alias="best", version=1))
    home.call(SetModelTags(name="fare", tags={"owner": "buses", "ours": "too"}))


def test_what_was_edited_here_stays_and_is_told(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    edit_here(home)
    report = bring_in(store, home)
    assert not report.equal
    assert new_rows(report) == {}
    assert home.call(GetRun(run_id=BEST)).tags["night/shift"] == "no"
    model = home.call(GetModel(name="fare"))
    assert (model.aliases, model.tags) == ({"best": 1}, {"owner": "buses", "ours": "too"})
    told = "\n".join(report.differences)
    assert "tag 'night/shift' is 'no' here and 'yes' in the source" in told
    assert "Version 1 of model 'fare' is in Staging here" in told
    assert "The tag 'owner' of model 'fare' is 'buses' here and 'cabs' in the source" in told
    assert "The alias 'best'" in told


def test_with_update_the_source_wins(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    edit_here(home)
    report = bring_in(store, home, update=True)
    assert report.equal, report.differences
    tags = home.call(GetRun(run_id=BEST)).tags
    assert (tags["night/shift"], tags["ours"]) == ("yes", "too")
    model = home.call(GetModel(name="fare"))
    assert (model.aliases, model.champions) == ({"best": 3}, {"Production": 3})
    assert model.tags == {"owner": "cabs", "ours": "too"}


def test_a_dry_run_changes_nothing(store: Mlruns, home: Backend) -> None:
    report = bring_in(store, home, dry_run=True)
    assert new_rows(report)["runs"] == 6
    assert new_rows(report)["metric points"] == 12
    assert home.call(SearchRuns(lifecycle="all")).runs == []
    assert [e.name for e in home.call(ListExperiments(include_deleted=True))] == ["Default"]
    bring_in(store, home)
    assert new_rows(bring_in(store, home, dry_run=True)) == {}


def test_one_experiment_brings_its_own_versions_only(store: Mlruns, home: Backend) -> None:
    other = store.experiment("3", "tips")
    run = store.run(other, "9" * 32, files={"model/MLmodel": "flavors: {}\n"})
    store.meta(store.root / "models" / "tip", creation_timestamp=1, name="tip")
    store.version("tip", 1, run)
    report = bring_in(store, home, experiments=["tips"])
    assert report.equal
    assert new_rows(report)["runs"] == 1
    with pytest.raises(NotFoundError):
        home.call(GetModel(name="fare"))
    with pytest.raises(NotFoundError, match="Did you mean 'tips'"):
        bring_in(store, home, experiments=["tip"])


def test_without_artifacts_files_come_with_a_later_import(store: Mlruns, home: Backend) -> None:
    report = bring_in(store, home, artifacts=False)
    assert report.equal, report.differences
    assert home.call(ResolveModel(name="fare", version=1)).files == []
    report = bring_in(store, home)
    assert report.equal, report.differences
    assert len(home.call(ResolveModel(name="fare", version=1)).files) == 2


def test_a_store_that_was_moved_still_has_its_files(
    store: Mlruns, home: Backend, tmp_path: Path
) -> None:
    moved = store.root.rename(tmp_path / "elsewhere")
    report = import_from(open_mlflow(str(moved)), home)
    assert report.equal, report.differences
    assert len(home.call(ResolveModel(name="fare", version=1)).files) == 2


def test_what_no_store_can_hold_is_told_and_the_rest_is_here(store: Mlruns, home: Backend) -> None:
    run = store.run(
        store.root / "1",
        "9" * 32,
        params={"ok": "1", "long": "x" * 65_537},
        tags={"long": "x" * 65_538, "nul": "a\0b", "ok": "1"},
        metrics={"a": "1 1.0 0\n", "semi;colon": "1 1.0 0\n", "torn": "1 2.5 0\n2 3."},
        files={"back\\slash.txt": "x"},
    )
    (run / "metrics" / "torn").write_text("1 2.5 0\n1675")
    report = bring_in(store, home)
    assert not report.equal
    told = "\n".join(report.differences)
    for words in (
        "'long' has 65,537 characters",
        "has 65,538",
        "NUL",
        "semi;colon",
        "back\\\\slash",
    ):
        assert words in told
    here = home.call(GetRun(run_id=run.name))
    assert (here.params, here.tags["ok"]) == ({"ok": "1"}, "1")
    assert sorted(here.metrics) == ["a", "torn"]
    assert ("unreadable lines of metrics", 1) in {(n.what, n.count) for n in report.left_out}


def test_a_broken_meta_file_is_told_and_the_rest_is_here(store: Mlruns, home: Backend) -> None:
    (store.root / "1" / CHILD / "meta.yaml").write_text("")
    report = bring_in(store, home)
    assert not report.equal
    (lost,) = [left for left in report.left_out if left.is_missing]
    assert lost.what == "runs"
    assert CHILD in lost.why
    assert home.call(GetRun(run_id=BEST)).name == "párent"


def test_files_in_unknown_places_are_told_with_a_way_to_get_them(
    store: Mlruns, home: Backend, tmp_path: Path
) -> None:
    run = store.run(store.root / "1", "9" * 32)
    text = (run / "meta.yaml").read_text()
    text = text.replace(f"file://{run}/artifacts", f"ftp://files.example/1/{run.name}/artifacts")
    (run / "meta.yaml").write_text(text)
    report = bring_in(store, home)
    assert not report.equal
    (lost,) = [left for left in report.left_out if left.is_missing]
    assert "ftp://files.example" in lost.why
    assert "--artifacts FOLDER" in lost.why

    copied = tmp_path / "copied" / "1" / run.name / "artifacts"
    copied.mkdir(parents=True)
    (copied / "words.txt").write_text("here")
    source = open_mlflow(str(store.root), artifacts=tmp_path / "copied")
    assert new_rows(import_from(source, home)) == {"files": 1, "file bytes": 4}


def test_a_link_out_of_a_runs_folder_is_not_followed(
    store: Mlruns, home: Backend, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    run = store.run(store.root / "1", "9" * 32, files={"a.txt": "a"})
    (run / "artifacts" / "b.txt").symlink_to(tmp_path / "secret")
    report = bring_in(store, home)
    (lost,) = [left for left in report.left_out if left.is_missing]
    assert "leads out of" in lost.why


def test_a_version_that_is_another_one_here_is_not_replaced(store: Mlruns, home: Backend) -> None:
    bring_in(store, home)
    store.meta(store.root / "models" / "fare" / "version-1", version=1, creation_timestamp=5)
    report = bring_in(store, home)
    assert "Version 1 of model 'fare' is another one here" in report.differences[0]


def test_what_is_no_store_of_mlflows_is_said_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInputError, match=r"no store of MLflow's|There is no"):
            open_mlflow(str(folder))
    (tmp_path / "notes.db").write_text("not a database at all, and long enough to be read")
    with pytest.raises(Exception, match="cannot be read"):
        open_mlflow(str(tmp_path / "notes.db"))


def test_status_numbers_have_mlflows_meaning() -> None:
    from loopline.transfer.mlflow_facts import status_of

    assert [status_of(number) for number in (RUNNING, FINISHED, 4, 5, 2)] == [
        RunStatus.RUNNING,
        RunStatus.FINISHED,
        RunStatus.FAILED,
        RunStatus.KILLED,
        RunStatus.SCHEDULED,
    ]
